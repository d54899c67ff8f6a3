"""What the log holds to learn from, against the whole log read and filtered."""

from __future__ import annotations

from datetime import datetime, timedelta

from ragdiag.store.findings import load_diagnoses
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version, load_requests
from ragdiag.store.signals import (
    Window,
    load_commented,
    load_diagnosed,
    load_feedback,
    load_first_asked,
    load_unjudged,
)
from tests.toy_lake import FIRST_MONDAY


def test_a_window_holds_what_failed_and_what_was_commented(toy_lake: Lake) -> None:
    version = find_version(toy_lake, "hybrid").version_id
    since, until = FIRST_MONDAY + timedelta(weeks=5), FIRST_MONDAY + timedelta(weeks=9)
    window = Window(since, until, version)
    there = load_requests(toy_lake, version_id=version, since=since, until=until)
    diagnoses = load_diagnoses(toy_lake, [one.request_id for one in there])
    failed = [one for one in there if diagnoses[one.request_id].verdict != "ok"]
    assert load_diagnosed(toy_lake, window) == failed
    commented = load_commented(toy_lake, window)
    assert commented == there
    said = load_feedback(toy_lake, [one.request_id for one in commented])
    assert {one.request_id for one in said} == {one.request_id for one in there}
    assert {one.kind for one in said} == {"click", "task_success", "thumbs"}
    newest = load_commented(toy_lake, Window(since, until, version, most=3))
    assert newest == there[-3:]
    assert load_unjudged(toy_lake, window) == [], "every question of it is judged"


def test_a_question_is_dated_by_the_first_user_who_asked_it(toy_lake: Lake) -> None:
    first: dict[tuple[str | None, str], datetime] = {}
    for one in load_requests(toy_lake):
        if one.traffic in ("production", "canary"):
            asked = one.question_id, one.question
            first[asked] = min(one.asked_at, first.get(asked, one.asked_at))
    assert {(name, words): at for name, words, at in load_first_asked(toy_lake)} == first
    assert first
