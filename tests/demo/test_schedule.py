"""The plan of the twelve weeks is whole."""

from __future__ import annotations

import pytest

from ragdiag.demo.schedule import FAULT_WORDS, LATE_WEEK, REBUILD_WEEK, TUNED, WEEKS, demo_versions


def test_twelve_weeks_serve_every_version_but_the_one_that_its_gate_held_back() -> None:
    versions = demo_versions()
    served = {name for week in WEEKS for name in week.versions}

    assert [week.number for week in WEEKS] == list(range(1, 13))
    assert served == {version.name for version in versions} - {TUNED}
    assert len({version.version_id for version in versions}) == 6
    for week in WEEKS:
        assert sum(week.versions.values()) == pytest.approx(1.0)


def test_five_kinds_of_fault_are_put_in_and_told() -> None:
    kinds = {week.fault for week in WEEKS if week.fault}

    assert kinds == FAULT_WORDS.keys()
    assert len(kinds) == 5


def test_the_index_is_stale_from_the_late_documents_until_it_is_rebuilt() -> None:
    stale = [week.number for week in WEEKS if week.fault == "stale_index"]

    assert stale == list(range(LATE_WEEK, REBUILD_WEEK))


def test_four_hybrid_versions_share_an_index() -> None:
    keys = {version.name: version.spec.index_key for version in demo_versions()}

    assert len({key for name, key in keys.items() if name.startswith("hybrid")}) == 1
    assert len(set(keys.values())) == 3
