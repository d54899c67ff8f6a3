"""A run in the registry: what is known of it while it goes on, and how it ended."""

from __future__ import annotations

import pytest

from ragdiag.errors import RunCancelled, TrainingError
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import find_run
from ragdiag.training.recording import recorded, standing_of
from ragdiag.training.run_folder import RunFolder, begin_run
from ragdiag.training.runs import Gated, facts_of
from tests.training_runs import BEGUN


@pytest.fixture
def folder(lake: Lake, workspace: Workspace) -> RunFolder:
    return begin_run(lake, workspace, {"kind": "retriever"})


def test_what_is_known_is_kept_at_once(lake: Lake, workspace: Workspace, folder: RunFolder) -> None:
    with recorded(lake, folder, "retriever", BEGUN) as recording:
        assert find_run(lake, folder.run_id).state == "running"
        recording.say(gate=Gated("inconclusive"))
        run = find_run(lake, folder.run_id)
        assert facts_of(run).gate == Gated("inconclusive")
        assert standing_of(workspace, run) == "running"
    assert standing_of(workspace, run) == "ended"
    assert find_run(lake, folder.run_id).state == "done"


@pytest.mark.parametrize(
    ("error", "state", "line"),
    [
        (RunCancelled("stopped", remedy="go on"), "cancelled", None),
        (KeyboardInterrupt(), "cancelled", None),
        (TrainingError("no pairs", remedy="add some"), "failed", "no pairs; add some"),
        (ZeroDivisionError("by 0"), "failed", "ZeroDivisionError: by 0"),
    ],
)
def test_how_it_ended_is_written_down(
    lake: Lake, folder: RunFolder, error: BaseException, state: str, line: str | None
) -> None:
    with pytest.raises(type(error)), recorded(lake, folder, "reranker", BEGUN):
        raise error
    run = find_run(lake, folder.run_id)
    assert (run.kind, run.state, facts_of(run).error) == ("reranker", state, line)
