"""What training the shipped adapter leaves: files that the demo can read, and the run as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragdiag.demo import train_adapter as training
from ragdiag.demo.material import Material
from ragdiag.demo.questions import Asked
from ragdiag.demo.schedule import TUNED, TUNED_FROM
from ragdiag.demo.shipped import KEPT, RUN, read_shipped
from ragdiag.retrieval.adapters import read_manifest
from ragdiag.retrieval.models import PACKAGED_SHA256
from ragdiag.settings import Workspace
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import find_version
from ragdiag.training.runs import facts_of
from tests.workflows.aliases import toys


@pytest.fixture(scope="module")
def material() -> Material:
    """The toys as a demo without documents that come late."""
    passages, *asked = toys()
    rows = [
        Asked(question, "summary", judgment.passage_id, judgment.split, (judgment,), gold)
        for question, judgment, gold in zip(*asked, strict=True)
    ]
    split = {name: tuple(one for one in rows if one.split == name) for name in ("train", "test")}
    return Material(tuple(passages), (), split["train"], split["test"], frozenset())


@pytest.mark.slow
def test_what_is_shipped_is_what_was_trained(
    workspace: Workspace, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "EPOCHS", 4)  # of two steps each
    run = training.train_adapter(workspace, material)
    shipped = tmp_path / "shipped"
    (shipped / "adapter").mkdir(parents=True)
    (shipped / "adapter" / "earlier").touch()
    training.ship(workspace, run, shipped)

    assert {path.name for path in shipped.iterdir()} == {"adapter", RUN, *KEPT}
    manifest = read_manifest(shipped / "adapter")
    assert manifest is not None
    assert (manifest.side, manifest.base_sha256) == ("questions", PACKAGED_SHA256)
    assert not (shipped / "adapter" / "earlier").exists()
    facts = facts_of(read_shipped(shipped))
    assert (facts.version, facts.method) == (TUNED_FROM, "query-lora")
    assert facts.options["lora"]["rank"] == training.RANK
    assert facts.options["corpus"] == training.CORPUS
    assert facts.candidate is not None
    held = json.loads((shipped / RUN).read_text(encoding="utf-8"))
    assert set(held) == {"run_id", "kind", "facts", "alpha"}
    tuned = find_version(open_lake(workspace), TUNED)
    assert held["alpha"] == tuned.spec.fusion.alpha
    assert facts.candidate.version_id == tuned.version_id
    close_lakes()
