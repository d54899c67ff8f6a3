"""What declines in words, and what only sounds like it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragdiag.metrics.refusals import LONGEST, declines, told_status


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know.",
        "I don’t have any information about that.",
        "I'm sorry, but I cannot find the answer in the text.",
        "I am unable to determine the date.",
        "Unfortunately, the provided context does not explicitly mention the dose.",
        "The passages don't say. Is there anything else I can help you with?",
        "There is no information about the author in the document.",
        "The exact location has not been disclosed.",
        "The question is unanswerable.",
        "I apologize for the confusion, but I cannot answer that. Please provide more context.",
        "Sorry, I don't know.",
    ],
)
def test_declined(answer: str) -> None:
    assert declines(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Paris.",
        "Is there a river? The Loire.",
        "Sorry, it closed in 1999.",
        "We do not share or provide personal information.",
        "I don't recommend more than 2 mg.",
        "The document does not mention Rome. However, Paris has two airports.",
        "No information from this file is transferred.",
        "The museum is not known for its paintings.",
        "I don't know the exact figure, but the passage says about 40 million dollars.",
        "The document does not mention Rome; Paris has two airports.",
        "Sure, the answer is 42. I don't have more information.",
        "Sorry, it closed in 1999. I don't know why.",
        "If you cancel within 30 days you get a refund. The document does not mention the rest.",
        "Please call 555-1234 to cancel your plan. I cannot provide more details.",
        "The merger was announced in 2019, although the buyer's name was not disclosed.",
        "Yes: there is no information stored on your device.",
        "The source code does not provide a default value, so it raises ValueError.",
    ],
)
def test_answered(answer: str) -> None:
    assert not declines(answer)


def test_no_gold_answer_declines(shared_data: Path) -> None:
    told = [
        answer
        for name in ("covidqa", "policyqa", "pubmedqa")
        for line in (shared_data / name / "answers.jsonl").read_bytes().splitlines()
        for answer in json.loads(line)["answers"]
    ]
    assert len(told) > 10_000
    assert [answer for answer in told if declines(answer)] == []


def test_only_an_answer_can_decline() -> None:
    assert told_status("error", "I don't know.") == "error"
    assert told_status("ok", "In 1889.") == "ok"


def test_what_is_long_says_something() -> None:
    assert declines("I don't know. " * 10)
    assert not declines("I don't know. " * LONGEST)
