"""A sound build has no bad finding; each kind of damage has its own, and never an exception."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest

from ragdiag.deploy.health import check_build
from ragdiag.deploy.publish import publish_build
from ragdiag.records import Finding, IndexCheck, Passage
from ragdiag.retrieval.adapters import AdapterManifest, write_manifest
from ragdiag.retrieval.files import sha256_file
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.corpus import add_documents, load_passages, remove_documents
from ragdiag.store.index_checks import save_check
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from tests.stocked import Build

Hybrid = Callable[..., Version]
Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(corpus: Lake, workspace: Workspace) -> Look:
    """Findings by name."""

    def looked(version: Version, build_id: str, with_model: bool = True) -> dict[str, Finding]:
        found = check_build(
            corpus, workspace, version, build_id, by="test", with_model=with_model
        ).findings
        assert len({one.name for one in found}) == len(found)
        return {one.name: one for one in found}

    return looked


def rewrite(folder: Path, name: str, write: Callable[[Path], None]) -> None:
    """Change a file of a build together with its hash, as a faulty build would have written it."""
    write(folder / name)
    manifest = json.loads((folder / "manifest.json").read_text())
    path = folder / name
    manifest["files"][name] = {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_a_sound_build_of_both_paths_has_only_good_findings(
    kind: str, look: Look, build: Build, hybrid: Hybrid
) -> None:
    version = hybrid(kind)
    found = look(version, build(of=version).build_id)
    assert {one.status for one in found.values()} == {"good"}
    assert list(found) == [
        "manifest",
        "libraries",
        "freshness",
        "contract",
        "loads",
        "words",
        "vectors",
        "neighbours",
        "embeddings",
        "questions",
    ]


def test_a_lexical_build_is_asked_without_a_model(
    look: Look, build: Build, version: Version
) -> None:
    found = look(version, build().build_id)
    assert list(found) == ["manifest", "libraries", "freshness", "loads", "words", "questions"]
    assert "6 of 6 judged questions" in found["questions"].what


def test_a_missing_and_a_damaged_build_are_one_bad_finding(
    look: Look, build: Build, version: Version, workspace: Workspace
) -> None:
    made = build()
    victim = workspace.indexes / made.build_id / "ids.parquet"
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    (finding,) = look(version, made.build_id).values()
    assert (finding.name, finding.status) == ("manifest", "bad")
    assert "ids.parquet has changed" in finding.what
    assert finding.remedy == "run: ragdiag index build lexical"
    shutil.rmtree(workspace.indexes / made.build_id)
    assert "is missing" in look(version, made.build_id)["manifest"].what


def test_a_build_for_another_spec_is_bad(
    look: Look, build: Build, hybrid: Hybrid, version: Version
) -> None:
    assert "another spec" in look(hybrid(), build().build_id)["manifest"].what


def test_another_library_is_a_warning(
    look: Look, build: Build, version: Version, workspace: Workspace
) -> None:
    made = build()
    path = workspace.indexes / made.build_id / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["libraries"] |= {"faiss-cpu": "1.0.0", "gone": "2.0"}
    path.write_text(json.dumps(manifest))
    finding = look(version, made.build_id)["libraries"]
    assert finding.status == "warn"
    assert "faiss-cpu 1.0.0 wrote it" in finding.what
    assert "gone 2.0 wrote it, nothing reads it" in finding.what


def test_a_model_that_changed_in_its_place_is_bad_and_says_what_changed(
    look: Look, build: Build, hybrid: Hybrid, tiny_model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    version = hybrid(model=model)
    made = build(of=version)
    pooling = model / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace('"mean"', '"cls"'))
    found = look(version, made.build_id)
    assert found["contract"].status == "bad"
    assert "(pooling mean → cls)" in found["contract"].what
    assert "loads" not in found
    shutil.rmtree(model)
    assert "no sentence-transformers model" in look(version, made.build_id)["contract"].what


def test_a_question_adapter_of_another_model_is_bad(
    look: Look, build: Build, hybrid: Hybrid, tmp_path: Path
) -> None:
    version = hybrid()
    made = build(of=version)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    write_manifest(tmp_path, AdapterManifest("other", "0" * 64, "query-lora", "", side="questions"))
    held = version.spec.model_dump()
    held["embedder"]["question_adapter"] = str(tmp_path)
    found = look(Version("tuned", type(version.spec).model_validate(held)), made.build_id)
    assert found["contract"].status == "bad"
    assert "was trained on other" in found["contract"].what
    assert "loads" not in found


def test_vectors_of_other_passages_are_found_by_embedding_again(
    look: Look, build: Build, hybrid: Hybrid, workspace: Workspace
) -> None:
    version = hybrid()
    made = build(of=version)

    def swap(path: Path) -> None:
        index = faiss.read_index(str(path))
        vectors = index.reconstruct_n(0, index.ntotal)
        index.reset()
        index.add(np.roll(vectors, 1, axis=0))
        faiss.write_index(index, str(path))

    rewrite(workspace.indexes / made.build_id, "vectors.faiss", swap)
    found = look(version, made.build_id)
    assert found["vectors"].status == "good"
    assert found["embeddings"].status == "bad"


def test_an_index_that_lost_vectors_does_not_load(
    look: Look, build: Build, hybrid: Hybrid, workspace: Workspace
) -> None:
    version = hybrid()
    made = build(of=version)

    def cut(path: Path) -> None:
        index = faiss.read_index(str(path))
        index.remove_ids(np.array([0]))
        faiss.write_index(index, str(path))

    rewrite(workspace.indexes / made.build_id, "vectors.faiss", cut)
    found = look(version, made.build_id)
    assert found["loads"].status == "bad"
    assert list(found)[-1] == "loads"


def test_questions_are_compared_with_the_first_look_then_with_what_serves(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    def check(build_id: str) -> IndexCheck:
        found = check_build(corpus, workspace, version, build_id, by="test")
        save_check(corpus, found)
        return found

    old = build().build_id
    assert "nothing to compare with" in check(old).findings[-1].what
    publish_build(workspace, version.spec.index_key, old, by="test")
    assert check(old).details["questions"]["compared"] == 6
    scrambled = [
        Passage(one.passage_id, one.document_id, f"{n} nothing")
        for n, one in enumerate(load_passages(corpus))
    ]
    add_documents(corpus, scrambled)
    new = build().build_id
    assert [check(new).details["questions"]["lost"] for _ in range(2)] == [6, 6]
    assert check(new).status == "bad"
    remove_documents(corpus, ["cats"])
    assert check(old).details["questions"]["n"] == 5  # no index can answer what left the corpus


def test_without_the_model_no_engine_is_imported(
    look: Look, build: Build, hybrid: Hybrid, workspace: Workspace
) -> None:
    version = hybrid()
    made = build(of=version)
    assert list(look(version, made.build_id, with_model=False)) == [
        "manifest",
        "libraries",
        "freshness",
        "contract",
    ]
    code = (
        "import sys; from pathlib import Path\n"
        "from ragdiag.deploy.health import check_build\n"
        "from ragdiag.settings import Workspace\n"
        "from ragdiag.store.lake import open_lake\n"
        "from ragdiag.version import Spec, Version\n"
        f"workspace = Workspace(Path({str(workspace.root)!r}))\n"
        f"version = Version('v', Spec.model_validate_json({version.spec.model_dump_json()!r}))\n"
        f"found = check_build(open_lake(workspace), workspace, version, {made.build_id!r},"
        " by='test', with_model=False)\n"
        "print(found.status)\n"
        "heavy = {'torch', 'transformers', 'peft', 'faiss', 'sentence_transformers', 'bm25s'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["good"], "")
