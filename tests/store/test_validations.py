"""What is known of verdicts' worth is read back as it was kept, the last first."""

from __future__ import annotations

from ragdiag.store.lake import Lake
from ragdiag.store.validations import (
    load_sufficiency,
    load_validation,
    save_sufficiency,
    save_validation,
)


def test_the_last_of_a_version_holds_else_the_last_of_any(lake: Lake) -> None:
    assert load_validation(lake) is None
    for version, number in (("a", 1), ("a", 2), ("b", 3)):
        save_validation(lake, version, "test", {"number": number})
    assert (load_validation(lake, "a") or {})["number"] == 2
    latest = load_validation(lake) or {}
    assert (latest["number"], latest["version_id"]) == (3, "b")
    assert load_validation(lake, "c") is None


def test_one_sufficiency_holds_for_the_workspace(lake: Lake) -> None:
    assert load_sufficiency(lake) is None
    save_sufficiency(lake, "a", {"n": 1})
    save_sufficiency(lake, "b", {"n": 2})
    assert load_sufficiency(lake) == {"n": 2}
