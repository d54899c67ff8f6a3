"""A question's text and the request that shows it."""

from __future__ import annotations

from ragdiag.store.asked import last_asked
from ragdiag.store.judgments import split_sizes
from ragdiag.store.lake import Lake
from tests.toy_lake import versions


def test_the_last_request_of_the_version_comes_first(toy_lake: Lake) -> None:
    first, _, third = versions()
    found = last_asked(toy_lake, ["q05", "unknown"], first.version_id)
    assert list(found) == ["q05"]
    assert found["q05"].text == "How is item 5 set?"
    assert found["q05"].request_id == f"e-{first.name}-05"
    rows = toy_lake.rows(
        "select request_id from requests where question_id = 'q05' "
        "order by asked_at desc, request_id desc"
    )
    assert last_asked(toy_lake, ["q05"])["q05"].request_id == rows[0]["request_id"]
    assert last_asked(toy_lake, ["q05"], "gone")["q05"].request_id == rows[0]["request_id"]
    assert last_asked(toy_lake, ["q05"], third.version_id)["q05"].request_id is not None


def test_splits_are_counted_by_their_answerable_questions(toy_lake: Lake) -> None:
    assert split_sizes(toy_lake) == {"test": 60}
