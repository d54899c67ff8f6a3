"""How indexes stand: what serves, where a rollback leads, the newest look of each kind."""

from __future__ import annotations

from ragdiag.records import Estimate
from ragdiag.retrieval.ann.tuning import Trial
from ragdiag.settings import Workspace
from ragdiag.store.alerts import raise_alert
from ragdiag.store.lake import Lake
from ragdiag.store.measurements import save_measurement
from ragdiag.store.results import save_version
from ragdiag.store.tunings import save_tuning
from ragdiag.version import AnnSpec, Version, parse_spec
from ragdiag.workflows.indexing.build import check_index, release_index, roll_back_index
from ragdiag.workflows.indexing.state import (
    IndexState,
    load_index_states,
    load_measures,
    load_tuning,
    read_histories,
)
from ragdiag.workflows.indexing.tune import describe_setting, trial_from_json, trial_to_json
from tests.stocked import Add

DENSE = "[embedder]\n[generator]\nkind = 'extractive'"


def only(lake: Lake, workspace: Workspace) -> IndexState:
    (state,) = load_index_states(lake, workspace, read_histories(lake, workspace))
    return state


def test_before_the_first_build_nothing_serves(
    corpus: Lake, workspace: Workspace, version: Version
) -> None:
    state = only(corpus, workspace)
    assert (state.names, state.serving, state.previous) == (["lexical"], None, None)
    assert (state.status, state.checked_at, list(state.builds)) == (None, None, [])


def test_what_serves_and_where_a_rollback_leads(
    corpus: Lake, workspace: Workspace, version: Version, add: Add
) -> None:
    first = release_index(corpus, workspace, version, by="test").build.build_id
    add("rust")
    second = release_index(corpus, workspace, version, by="test").build.build_id
    state = only(corpus, workspace)
    assert (state.serving, state.previous, state.status) == (second, first, "good")
    assert [row["build_id"] for row in state.builds] == [second, first]
    assert state.published is not None
    assert state.published.action == "publish"
    roll_back_index(corpus, workspace, version, by="test")
    back = only(corpus, workspace)
    assert (back.serving, back.previous) == (first, None)
    assert back.looks["freshness"].measured["missing"] == 1


def test_a_look_without_the_model_keeps_what_the_model_saw(
    corpus: Lake, workspace: Workspace, version: Version, add: Add
) -> None:
    release_index(corpus, workspace, version, by="test")
    asked = only(corpus, workspace).looks["questions"]
    add("rust", "go")
    check_index(corpus, workspace, version, by="test", with_model=False)
    state = only(corpus, workspace)
    assert state.looks["questions"] == asked
    assert state.looks["freshness"].checked_at > asked.checked_at
    assert state.status == "bad"
    assert [alert.runbook for alert in state.alerts] == ["index_rebuild"]


def test_alerts_of_another_index_are_not_its_own(
    corpus: Lake, workspace: Workspace, version: Version
) -> None:
    raise_alert(corpus, kind="k", subject="index x", severity="warning", message="m", runbook="r")
    assert list(only(corpus, workspace).alerts) == []


def test_versions_with_the_same_index_are_one_state(corpus: Lake, workspace: Workspace) -> None:
    fewer = "[lexical]\n[context]\nk = 2\n[generator]\nkind = 'extractive'"
    save_version(corpus, Version("brief", parse_spec(fewer, source="toy")))
    save_version(corpus, Version("dense", parse_spec(DENSE, source="toy")))
    states = load_index_states(corpus, workspace, read_histories(corpus, workspace))
    assert [state.names for state in states] == [["lexical", "brief"], ["dense"]]


def test_measures_are_those_of_its_versions(
    corpus: Lake, workspace: Workspace, version: Version
) -> None:
    save_measurement(corpus, version.version_id, "b1", {"memory_mb": 1})
    save_measurement(corpus, "other", "b1", {"memory_mb": 2})
    (row,) = load_measures(corpus, [version.version_id])
    assert row["measured"] == {"memory_mb": 1}


def test_a_sweep_counts_for_every_version_with_that_embedder(
    corpus: Lake, version: Version
) -> None:
    dense = Version("dense", parse_spec(DENSE, source="toy"))
    both = Version("both", parse_spec(f"[lexical]\n{DENSE}", source="toy"))
    for one in (dense, both):
        save_version(corpus, one)
    save_tuning(corpus, "t1", dense.version_id, {"k": 10})
    for one in (dense, both):
        found = load_tuning(corpus, one)
        assert found is not None
        assert found[1] == {"k": 10}
    assert load_tuning(corpus, version) is None


def test_a_trial_is_read_as_it_was_written() -> None:
    one = Estimate(0.5, 0.4, 0.6, 10)
    trial = Trial(AnnSpec(kind="opq", nprobe=8), one, one, one, one, 96.0, 1.5)
    assert trial_from_json(trial_to_json(trial)) == trial
    assert describe_setting(trial.spec) == "opq nprobe 8, refine sq8 × 4"
