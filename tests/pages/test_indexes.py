"""What serves, whether it is fit to, what else there is; and changing it, with a confirmation."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from ragdiag.retrieval.ann.tuning import choose, make_task, settings, try_setting
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.measurements import save_measurement
from ragdiag.store.results import save_version
from ragdiag.store.tunings import save_tuning
from ragdiag.ui import jobs
from ragdiag.version import AnnSpec, Version, parse_spec
from ragdiag.workflows.indexing.build import check_index, release_index
from ragdiag.workflows.indexing.tune import Aim, TunedIndex
from tests.stocked import Add

DENSE = Version("dense", parse_spec("[embedder]\n[generator]\nkind='extractive'", source="toy"))


@pytest.fixture
def served(corpus: Lake, workspace: Workspace, version: Version) -> str:
    """The build that serves the version ``lexical``."""
    return release_index(corpus, workspace, version, by="test").build.build_id


@pytest.fixture
def tuned(corpus: Lake) -> TunedIndex:
    """A sweep of two kinds over random vectors, kept for a version with an embedder."""
    chance = np.random.default_rng(3)
    vectors = chance.standard_normal((60, 8)).astype(np.float32)
    task = make_task(vectors, chance.standard_normal((12, 8)).astype(np.float32), 5, 10)
    trials = [
        one for spec in settings(AnnSpec(), ["flat", "hnsw"]) for one in try_setting(task, spec)
    ]
    aim, chosen = Aim(k=5, target=0.5, kinds=("flat", "hnsw")), choose(trials, 0.5, "latency")
    found = TunedIndex(DENSE, "t1", aim, 60, 12, trials, chosen, {})
    save_version(corpus, DENSE)
    save_tuning(corpus, "t1", DENSE.version_id, found.to_json())
    return found


def press(app, key: str):
    return next(button for button in app.button if button.key == key).click().run()


def test_a_sound_index_says_what_serves_and_since_when(
    open_page, workspace, served: str, said: Callable[..., str]
) -> None:
    app = open_page("indexes", workspace)
    assert not app.exception
    assert f"Build {served} serves lexical since" in said(app)
    assert app.success[0].proto.title == "Fit to serve"
    shown = {metric.label: metric.value for metric in app.metric}
    assert (shown["Missing"], shown["Gold in first 10"]) == ("0", "6 of 6")
    builds = next(frame.value for frame in app.dataframe if "Passages" in frame.value)
    assert builds[["Build", "Serves", "Passages", "Last check"]].values.tolist() == [
        [served, "yes", 8, "good"]
    ]
    assert "index measure" in said(app)
    found = app.table[0].value
    assert list(found.columns) == ["Look", "Status", "What was found", "Looked"]
    whole = [text.replace("\\", "") for text in found["What was found"]]
    assert any(text.endswith("nothing to compare with yet") for text in whole)


def test_a_stale_index_comes_first_with_its_runbook(
    open_page, workspace, corpus, version, served: str, tuned, add: Add, said
) -> None:
    add("rust")
    check_index(corpus, workspace, version, by="test", with_model=False)
    app = open_page("indexes", workspace)
    assert not app.exception
    assert app.selectbox(key="index_version").value == "lexical"
    assert app.error[0].proto.title == "Not fit to serve"
    text = said(app)
    assert "1 of 9 passages missing" in text
    assert "An index is older than the corpus" in text
    assert {metric.label: metric.value for metric in app.metric}["Missing"] == "1"


def test_a_sweep_is_drawn_with_what_was_chosen(
    open_page, workspace, served: str, tuned: TunedIndex, said
) -> None:
    app = open_page("indexes", workspace, index_version="dense")
    assert not app.exception
    text = said(app)
    assert "No build serves dense" in text
    assert tuned.chosen is not None
    assert f"Chosen: {tuned.chosen.spec.kind}" in text
    assert "25 settings over 60 passages" in text
    assert len(app.get("plotly_chart")) == 1


def test_a_finding_is_told_in_its_own_letters(open_page, workspace, corpus, version, said) -> None:
    """Names and commands in it are not ours to change."""
    loud = Version("BM25", version.spec)
    release_index(corpus, workspace, loud, by="test")
    corpus.write(lambda cursor: cursor.execute("delete from judgments"))
    check_index(corpus, workspace, loud, by="test")
    assert "of version BM25" in said(open_page("indexes", workspace))


def test_what_it_takes_is_shown_with_the_machine(
    open_page, workspace, corpus, version, served: str, said
) -> None:
    p95 = {"value": 4.5, "low": 4.0, "high": 5.0, "n": 60}
    measured = {"vector_bytes": 0, "lexical_bytes": 2_500_000, "memory_mb": 31.0, "p95_ms": p95}
    measured |= {"questions_per_second": 412.2, "machine": "x86_64, 2 cores"}
    save_measurement(corpus, version.version_id, served, measured)
    app = open_page("indexes", workspace)
    takes = next(frame.value for frame in app.dataframe if "Memory" in frame.value).iloc[0]
    assert takes["Words"].replace("\u00a0", " ") == "2.5 MB"
    assert takes["Questions a second"] == 412
    assert "x86_64, 2 cores" in said(app)


def test_a_rollback_says_what_will_serve_then_runs(
    open_page, workspace, corpus, version, served: str, add: Add, said
) -> None:
    """The command is a real process; the page finds it again and tells how it ended."""
    add("rust")
    second = release_index(corpus, workspace, version, by="test").build.build_id
    app = press(open_page("indexes", workspace), "index_rollback")
    assert f"it will serve lexical at once, in place of build {second}" in said(app)
    app = press(app, "index_yes")
    assert not app.exception
    deadline = time.monotonic() + 60
    while (job := jobs.index_job(workspace)) is None or job.progress.state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    app = open_page("indexes", workspace)
    text = said(app)
    assert f"build {served} serves again, in place of {second}" in text
    assert f"Build {served} serves lexical since" in text
    assert "index_rollback" not in {button.key for button in app.button}
    assert f"index_publish_{second}" in {button.key for button in app.button}
    press(app, "index_dismiss")
    assert jobs.index_job(workspace) is None


def test_a_version_that_has_no_index_here_is_said(open_page, workspace, served, said) -> None:
    app = open_page("indexes", workspace, index_version="nope")
    assert not app.exception
    assert "There is no version “nope” here; this is lexical." in said(app)


def test_what_is_cancelled_is_not_done(open_page, workspace, served: str) -> None:
    app = press(press(open_page("indexes", workspace), "index_build"), "index_cancel")
    assert "index_yes" not in {button.key for button in app.button}
    assert jobs.index_job(workspace) is None


def test_a_read_only_dashboard_starts_nothing(open_page, workspace, served: str, said) -> None:
    workspace.configuration.write_text("[dashboard]\nread_only = true\n")
    app = open_page("indexes", workspace)
    assert not app.exception
    assert not app.button
    assert "read-only" in said(app)


def test_a_damaged_pointer_takes_only_its_own_index_and_comes_first(
    open_page, workspace, corpus, version, served: str, tuned, said
) -> None:
    pointer = workspace.indexes / "serving" / f"{version.spec.index_key}.json"
    sound = pointer.read_text()
    pointer.write_text("{")
    app = open_page("indexes", workspace)
    assert not app.exception
    assert app.selectbox(key="index_version").value == "lexical"
    assert app.error[0].proto.title == "What serves cannot be read"
    text = said(app)
    assert "publish again: ragdiag index publish lexical" in text
    assert "No build serves" not in text
    assert not [button for button in app.button if str(button.key).startswith("index_")]
    every = next(frame.value for frame in app.dataframe if "Open alerts" in frame.value)
    assert every[["Serves", "Build"]].values.tolist() == [
        ["lexical", "cannot be read"],
        ["dense", "none"],
    ]
    app = open_page("indexes", workspace, index_version="dense")
    assert not app.exception
    assert "No build serves dense" in said(app)
    assert "cannot read" not in said(app)
    pointer.write_text(sound)
    assert f"Build {served} serves lexical" in said(open_page("indexes", workspace))
