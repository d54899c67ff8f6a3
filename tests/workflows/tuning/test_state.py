"""What came of the run that made a version, also where the registry's row cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.store.training_runs import TrainingRun, save_run
from ragdiag.training.runs import Candidate
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.tuning.state import gate_not_passed
from tests.training_runs import DONE

ANSWERS = "[generator]\nkind = 'extractive'"
MADE = Version("made", parse_spec(f"[embedder]\nadapter = 'r1/adapter'\n{ANSWERS}", source="toy"))
OTHER = Version("other", parse_spec(f"[lexical]\n{ANSWERS}", source="toy"))
FACTS = replace(DONE, candidate=Candidate("made", MADE.version_id)).to_json()
DOUBT = "what came of its training run r1 cannot be read"


@pytest.mark.parametrize("fault", [{"gate": 7}, {"base": None}, {"base": None, "candidate": None}])
def test_a_run_that_cannot_be_read_passes_nothing_that_it_made(
    workspace: Workspace, fault: dict[str, Any]
) -> None:
    lake = open_lake(workspace, create=True)
    save_run(lake, TrainingRun("r1", "retriever", "done", {**FACTS, **fault}))
    assert gate_not_passed(lake, MADE) == DOUBT
    assert gate_not_passed(lake, OTHER) is None
    save_run(lake, TrainingRun("r2", "retriever", "done", FACTS))
    assert gate_not_passed(lake, MADE) is None, "another run has judged it"
