"""Chat lines hold what serving sends and wants back; what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragdiag.errors import TrainingError
from ragdiag.generation.grounded_prompt import build_messages
from ragdiag.records import ContextPassage
from ragdiag.training.answers.chat_export import export_chat
from ragdiag.training.answers.located import AnswerExample
from tests.training.toy_language import codes, toy_tokenizer


def test_a_line_is_the_prompt_of_serving_and_its_reply(tmp_path: Path) -> None:
    examples = codes(10, 1)
    found = export_chat(tmp_path / "chat.jsonl", examples)
    rows = [json.loads(line) for line in (tmp_path / "chat.jsonl").read_text().splitlines()]
    assert found.rows == len(rows) == 10
    assert found.tokens is None
    for row, one in zip(rows, examples, strict=True):
        assert row.keys() == {"messages"}
        assert row["messages"][:2] == build_messages(one.question, one.context)
        assert row["messages"][2]["role"] == "assistant"
        assert row["messages"][2]["content"].startswith(f"{one.answers[0]} [")
    texts = [message["content"] for row in rows for message in row["messages"]]
    assert found.characters == sum(map(len, texts))


def test_tokens_are_counted_and_bound(tmp_path: Path) -> None:
    tokenizer = toy_tokenizer()
    long = AnswerExample("long", "k0", ("v0",), (ContextPassage("p", "k0 v0 . " * 200),))
    absent = AnswerExample("absent", "k0", ("v9",), long.context)
    examples = [*codes(10, 1), long, absent]
    found = export_chat(tmp_path / "c.jsonl", examples, tokenizer=tokenizer, max_tokens=400)
    assert found.rows == 10
    assert found.tokens is not None
    assert 10 * 20 < found.tokens < 10 * 400
    reasons = {one.question_id: one.reason for one in found.refused}
    assert reasons.keys() == {"long", "absent"}
    assert reasons["long"].endswith("tokens are over 400")
    with pytest.raises(TrainingError, match="9 of 9 exported examples"):
        export_chat(tmp_path / "few.jsonl", codes(9, 1))
    assert not (tmp_path / "few.jsonl").exists()
