"""Folders of the workspace go by their names in it, wherever the workspace lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version, save_version
from ragdiag.version import EmbedderSpec, RerankerSpec, Spec, Version, parse_spec

EXTRACTIVE = "[generator]\nkind = 'extractive'\n"


def dense(adapter: str | Path, more: str = EXTRACTIVE) -> Spec:
    return parse_spec(f"[embedder]\nadapter = '{adapter}'\n{more}", source="toy")


def adapter_of(spec: Spec) -> str | None:
    assert spec.embedder is not None
    return spec.embedder.adapter


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """Where one workspace lay, and where it lies."""
    roots = (tmp_path / "before", tmp_path / "after")
    for root in roots:
        (root / "training" / "one" / "adapter").mkdir(parents=True)
    return roots


def test_ids_do_not_depend_on_where_the_workspace_lies(roots: tuple[Path, Path]) -> None:
    one, other = (dense(root / "training/one/adapter").portable(root) for root in roots)
    assert adapter_of(one) == str(roots[0] / "training/one/adapter")
    assert adapter_of(other) == str(roots[1] / "training/one/adapter")
    assert adapter_of(one.as_written) == "training/one/adapter"
    assert one.index_key == other.index_key == one.as_written.index_key
    assert Version("v", one).version_id == Version("v", other).version_id


def test_what_is_kept_is_read_where_the_workspace_lies(lake: Lake, workspace: Workspace) -> None:
    folder = workspace.training / "one" / "adapter"
    folder.mkdir(parents=True)
    made = Version("tuned", dense(folder).portable(workspace.root))
    save_version(lake, made)
    assert lake.rows("select spec from versions")[0]["spec"].count(str(workspace.root)) == 0
    assert find_version(lake, "tuned") == made
    assert adapter_of(find_version(lake, "tuned").spec) == str(folder)


def test_a_path_that_was_kept_before_stays_one(roots: tuple[Path, Path]) -> None:
    root = roots[0]
    earlier = dense(root / "training/one/adapter")
    read = earlier.opened_in(root)
    assert (read, read.index_key) == (earlier, earlier.index_key)
    reranked = read.with_tables(root, reranker=RerankerSpec(model=str(root / "training/one")))
    assert reranked.index_key == earlier.index_key
    assert reranked.as_written.reranker == RerankerSpec(model="training/one")
    assert reranked.reranker == RerankerSpec(model=str(root / "training/one"))
    late = RerankerSpec(kind="late_interaction", model="m", adapter=str(root / "training/one"))
    kept = read.with_tables(root, reranker=late).as_written.reranker
    assert kept == late.model_copy(update={"adapter": "training/one"})


def test_other_names_stay(roots: tuple[Path, Path], tmp_path: Path) -> None:
    root = roots[0]
    (root / EmbedderSpec().model).mkdir()
    (root / "served").mkdir()
    server = "[generator]\nkind = 'openai'\nmodel = 'served'\n"
    for adapter in ("demo-questions", "models/lora", str(tmp_path / "elsewhere")):
        spec = dense(adapter, server)
        assert spec.portable(root) == spec
        assert Version("v", spec.portable(root)).version_id == Version("v", spec).version_id
