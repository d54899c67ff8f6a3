"""Of many requests some users' are read, by chance, and speak for all; of few all."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from ragdiag.records import Feedback, Request
from ragdiag.settings import Workspace
from ragdiag.stats.scatter import Scatter
from ragdiag.store import trends
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.spool import SpoolWriter

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = [date(2026, 1, 5)]
USERS, OFTEN, RARE = 300, 8, 12


@pytest.fixture
def asked(lake: Lake, workspace: Workspace) -> Lake:
    """300 users with eight requests each, who mostly like all answers or none, and a dozen more in
    a topic of their own."""
    drawn = random.Random(5)
    with SpoolWriter(workspace) as spool:
        for user in range(USERS + RARE):
            kind, topic = drawn.random(), "common" if user < USERS else "rare"
            for n in range(OFTEN):
                name = f"r-{user}-{n}"
                at = MONDAY + timedelta(minutes=user * OFTEN + n)
                asked = Request(
                    name, at, "v", "production", "Why?", topic=topic, user_key=f"u{user}"
                )
                spool.write(asked)
                thumbs = 1.0 if drawn.random() < kind else -1.0
                spool.write(Feedback(f"f-{name}", name, at, "thumbs", thumbs))
    ingest(lake, workspace)
    return lake


def scatters(lake: Lake, split: trends.Split = "all") -> dict[str, Scatter]:
    rows = trends.scatter_by_user(lake, Filters(), WEEK, split)
    return {row["segment"]: Scatter(**row["thumbs_up"]) for row in rows}


def test_a_part_of_the_users_says_how_far_off_the_mean_of_all_may_be(
    asked: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scatters(asked)["all"]
    assert whole.owners == USERS + RARE
    monkeypatch.setattr(trends, "FEWEST_READ", 50)
    monkeypatch.setattr(trends, "MOST_READ", (USERS + RARE) * OFTEN // 3)
    some = scatters(asked)["all"]
    assert 70 < some.owners < 140
    assert some.largest == OFTEN, "users come with all of their requests"
    assert some.error == pytest.approx(whole.error, rel=0.25)
    assert some.n == pytest.approx(whole.n, rel=0.25)


def test_a_small_segment_is_read_whole(asked: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scatters(asked, "topic")
    monkeypatch.setattr(trends, "FEWEST_READ", 10)
    monkeypatch.setattr(trends, "MOST_READ", 2 * RARE * OFTEN)
    some = scatters(asked, "topic")
    assert some["rare"] == whole["rare"]
    assert some["common"].owners < whole["common"].owners / 10


def test_few_users_are_all_read_however_much_they_ask(
    asked: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scatters(asked)
    monkeypatch.setattr(trends, "MOST_READ", 10)
    monkeypatch.setattr(trends, "FEWEST_READ", USERS)
    assert scatters(asked) == whole
