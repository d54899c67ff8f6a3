"""The command behind the shipped adapter trains, judges, and puts what it found in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.demo.material import read_material
from ragdiag.demo.schedule import TUNED
from ragdiag.demo.shipped import read_shipped
from ragdiag.demo.train_adapter import CORPUS, RANK, ship, train_adapter
from ragdiag.retrieval.adapters import read_manifest
from ragdiag.settings import Workspace
from ragdiag.training.curves import read_curve
from ragdiag.training.loop import CURVE
from ragdiag.training.runs import facts_of

ENTRIES = 60


@pytest.mark.slow
def test_what_it_measured_is_what_is_shipped(workspace: Workspace, tmp_path: Path) -> None:
    material = read_material("small")
    asked = (*material.train, *material.test)
    kept = {one.entry for one in asked[:: len(asked) // ENTRIES]}
    passages = [one for one in (*material.early, *material.late) if one.document_id in kept]
    few = replace(
        material,
        early=tuple(passages),
        late=(),
        train=tuple(one for one in material.train if one.entry in kept),
        test=tuple(one for one in material.test if one.entry in kept),
        late_entries=frozenset(),
    )
    run = train_adapter(workspace, few)
    folder = tmp_path / "shipped"
    ship(workspace, run, folder)
    facts, told = facts_of(run), facts_of(read_shipped(folder))
    assert told == replace(facts, options={**facts.options, "corpus": CORPUS})
    assert facts.gate is not None
    assert facts.candidate is not None
    assert facts.candidate.name == TUNED
    manifest = read_manifest(folder / "adapter")
    assert manifest is not None
    assert manifest.options["lora"]["rank"] == RANK
    assert len(read_curve(folder / CURVE)) > 1
