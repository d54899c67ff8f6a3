"""What a verdict is told as."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ragdiag.records import Request
from ragdiag.ui.story import Story
from ragdiag.ui.verdict_text import verdict_sentences

ASKED = Request("r1", datetime(2026, 1, 5, tzinfo=UTC), "v", "evaluation", "Where?")
VERDICT = {
    "verdict": "undetermined",
    "cause": "recall_miss",
    "verified_fix": "",
    "tier": "A",
    "second_level": None,
}
DRAWS = [
    {"arm": arm, "draw": 0, "answer": "", "y": y, "score": None, "passage_ids": ()}
    for arm, y in (("g", None), ("g+", 1))
]
STORY = Story(
    request=ASKED,
    gold={"p1": 1},
    gold_answers=("here",),
    stages={},
    passages={},
    y=0,
    score=0.0,
    verdict=VERDICT,
    evidence={"y": 0},
    replays=DRAWS,
    feedback=(),
)


def test_a_verdict_on_other_gold_is_told_as_out_of_date() -> None:
    told = verdict_sentences(replace(STORY, outdated="gold"))
    assert told[0].startswith("The answer is wrong")
    assert "does not rest on the gold its question has now. Diagnose it anew." in told[1]


def test_a_context_on_which_the_generator_failed_is_no_intervention_that_decided_nothing() -> None:
    assert verdict_sentences(STORY)[0] == "Undetermined: no intervention decides what failed."
    failed = replace(STORY, evidence={"y": 0, "failed_arms": ["g"]})
    told = verdict_sentences(failed)
    assert told[0] == "Undetermined so far: the generator failed when it was asked again."
    assert "The generator failed on g; the next diagnosis asks it again." in told
    assert not any("only the gold passages" in sentence for sentence in told)


def test_a_generator_that_does_not_repeat_itself_is_told() -> None:
    told = verdict_sentences(replace(STORY, evidence={"y": 0, "varied_arms": ["g"]}))
    assert any(one.startswith("The generator does not repeat itself: it gave g") for one in told)
    assert not any("repeat itself" in one for one in verdict_sentences(STORY))
