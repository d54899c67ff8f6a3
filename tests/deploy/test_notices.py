"""Bad findings raise alerts, and only a look at the same thing resolves them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ragdiag.deploy.notices import (
    REBUILD_FAILED,
    RUNBOOKS,
    note_failed_rebuild,
    note_findings,
    resolve_rebuild,
)
from ragdiag.records import Finding, IndexCheck
from ragdiag.store.alerts import open_alerts, raise_alert
from ragdiag.store.lake import Lake
from ragdiag.version import Version, parse_spec
from tests.stocked import LEXICAL

LOOK = IndexCheck("b1", "", "", datetime(2026, 1, 5, tzinfo=UTC), "test", ())


def look(version: Version, **statuses: str) -> IndexCheck:
    found = [Finding(f"{name} of b1", status, "mend it", name) for name, status in statuses.items()]  # type: ignore[arg-type]
    return replace(LOOK, index_key=version.spec.index_key, findings=tuple(found))


def kinds(lake: Lake) -> list[str]:
    return sorted(one.kind for one in open_alerts(lake))


def test_an_alert_names_what_to_do_and_whom_it_concerns(corpus: Lake, version: Version) -> None:
    details = {"freshness": {"missing": 3}}
    note_findings(corpus, replace(look(version, freshness="bad"), details=details))
    (alert,) = open_alerts(corpus)
    assert (alert.kind, alert.severity, alert.runbook) == (
        "index_freshness",
        "warning",
        "index_rebuild",
    )
    assert alert.message == "freshness of b1; mend it"
    assert alert.subject == f"index {version.spec.index_key}"
    assert alert.details == {"build_id": "b1", "versions": ["lexical"], "measured": {"missing": 3}}


def test_a_look_resolves_what_it_looked_at_and_no_more(corpus: Lake, version: Version) -> None:
    note_findings(corpus, look(version, freshness="bad", questions="bad"))
    assert kinds(corpus) == ["index_freshness", "index_questions"]
    note_findings(corpus, look(version, manifest="good", freshness="warn"))
    assert kinds(corpus) == ["index_questions"]
    note_findings(corpus, look(version, questions="good"))
    assert kinds(corpus) == []


def test_well_found_questions_of_another_version_on_the_index_resolve_nothing(
    corpus: Lake, version: Version
) -> None:
    mine, other = (
        replace(look(version, questions=status), version_id=name)
        for name, status in (("v1", "bad"), ("v2", "good"))
    )
    note_findings(corpus, mine)
    note_findings(corpus, other)
    assert kinds(corpus) == ["index_questions"]
    note_findings(corpus, replace(look(version, questions="good"), version_id="v1"))
    assert kinds(corpus) == []


def test_the_first_look_at_another_build_that_serves_ends_what_was_said_of_the_one_before(
    corpus: Lake, version: Version
) -> None:
    mine = look(version, questions="bad", neighbours="bad", freshness="bad")
    note_findings(corpus, replace(mine, version_id="v1"))
    other = Version("other", parse_spec(LEXICAL.replace("]", "]\nk1 = 1.2", 1), source="toy"))
    note_findings(corpus, look(other, vectors="bad"))
    note_failed_rebuild(corpus, version, "b1", "the disk is full")
    before = {one.kind: one.alert_id for one in open_alerts(corpus)}
    note_findings(corpus, replace(look(version, freshness="bad"), build_id="b0", version_id="v2"))
    assert {one.kind: one.alert_id for one in open_alerts(corpus)} == {
        kind: before[kind] for kind in ("index_freshness", "index_vectors", REBUILD_FAILED)
    }


def test_an_alert_of_an_earlier_ragdiag_ends_with_the_next_look(
    corpus: Lake, version: Version
) -> None:
    raise_alert(
        corpus,
        kind="index_questions",
        subject=f"index {version.spec.index_key}",
        severity="critical",
        message="lost",
        runbook="rollback",
        details={},
    )
    note_findings(corpus, look(version, questions="good"))
    assert kinds(corpus) == []


def test_every_finding_that_can_be_bad_has_a_runbook(corpus: Lake, version: Version) -> None:
    note_findings(corpus, look(version, **dict.fromkeys(RUNBOOKS, "bad")))
    assert len(kinds(corpus)) == len(RUNBOOKS)
    assert {one.severity for one in open_alerts(corpus)[:7]} == {"critical"}


def test_a_failed_rebuild_is_open_until_one_succeeds(corpus: Lake, version: Version) -> None:
    note_failed_rebuild(corpus, version, "b0", "the disk is full")
    (alert,) = open_alerts(corpus)
    assert (alert.kind, alert.runbook) == (REBUILD_FAILED, "index_rebuild")
    assert "build b0 goes on serving: the disk is full" in alert.message
    resolve_rebuild(corpus, version.spec.index_key)
    assert open_alerts(corpus) == []
