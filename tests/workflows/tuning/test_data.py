"""Where runs learn from: labels, none of them, or what the log and the corpus give."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragdiag.records import Passage
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.version import Version
from ragdiag.workflows.tuning.data import LearnFrom
from ragdiag.workflows.tuning.retriever import RetrieverPlan, RetrieverTuning, plan_retriever
from tests.workflows.aliases import THINGS, fill

CARE = "Dust it once a week and keep it out of the rain."
TITLED = [Passage(f"{one}-care", f"{one}-care", CARE, f"Care of a {one}") for one in THINGS]


@pytest.fixture
def filled(workspace: Workspace) -> Iterator[tuple[Lake, Version]]:
    yield fill(workspace)
    close_lakes()


def planned(filled: tuple[Lake, Version], learn: LearnFrom) -> RetrieverPlan:
    lake, version = filled
    assert version.spec.embedder is not None
    tuning = RetrieverTuning(learn=learn)
    return plan_retriever(lake, lake.workspace, version, version.spec.embedder, tuning)


@pytest.mark.slow
def test_without_labels_it_learns_from_the_corpus(filled: tuple[Lake, Version]) -> None:
    add_documents(filled[0], TITLED)
    plan = planned(filled, LearnFrom(None))
    assert {pair.source for pair in plan.assembled.train.pairs} == {"title"}
    assert plan.facts.split == "none"
    assert next(one for one in plan.sets if one.name == "test").questions
