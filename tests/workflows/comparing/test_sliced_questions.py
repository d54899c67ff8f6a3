"""Questions by kind: which fail, from all requests that name one."""

from __future__ import annotations

from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.trends import failing_questions, failing_segments
from ragdiag.workflows.comparing.sliced_questions import failing_slices, load_slices
from tests.toy_lake import TOPICS


def test_every_question_is_sliced_by_what_the_workspace_knows(toy_lake: Lake) -> None:
    slices = load_slices(toy_lake)
    assert {len(slice_of) for slice_of in slices.values()} == {60}
    assert set(slices["topic"].values()) == set(TOPICS)
    assert set(slices["golds"].values()) == {"1 gold passage"}
    assert slices["length"]["q00"].startswith("long")


def test_failures_by_kind_add_up_to_those_of_the_page(toy_lake: Lake) -> None:
    for filters in (
        Filters(traffic="production"),
        Filters(traffic="evaluation", verdict="retrieval"),
        Filters(traffic="production", topic="billing", cause="corpus_gap"),
    ):
        plain = {
            row["name"]: (row["graded"], row["failed"])
            for row in failing_segments(toy_lake, filters, "topic")
        }
        sliced = failing_slices(toy_lake, filters, "topic")
        assert {row["name"]: (row["graded"], row["failed"]) for row in sliced} == plain
    one = failing_questions(toy_lake, Filters(traffic="production"))
    assert all(row["failed"].plain <= row["graded"].plain for row in one)
    assert any(row["failed"].plain for row in one)
