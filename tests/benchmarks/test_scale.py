"""What the benchmark's requests hold."""

from __future__ import annotations

from benchmarks.scale import make_requests
from ragdiag.records import RANKED_STAGES


def test_a_request_has_every_stages_list_the_question_and_the_answer() -> None:
    rows = make_requests(0, 20, 20)
    lists = {stage: {len(hits) for hits in rows[stage].to_pylist()} for stage in RANKED_STAGES}
    assert lists == {stage: {10} for stage in RANKED_STAGES}
    assert {len(text.split()) for text in rows["question"].to_pylist()} == {13}
    assert {len(text.split()) for text in rows["answer"].to_pylist()} == {46}
