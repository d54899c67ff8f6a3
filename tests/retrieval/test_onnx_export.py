"""An exported encoder gives the vectors of the model it was made of, and says what it is."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ragdiag.errors import InputError, ModelError, StoreFull
from ragdiag.retrieval.embed import load_embedder, load_question_encoder
from ragdiag.retrieval.models import model_identity
from ragdiag.retrieval.onnx_embedder import _session
from ragdiag.retrieval.onnx_export import export_model
from ragdiag.settings import PROJECT
from ragdiag.version import EmbedderSpec, Spec

TEXTS = ["short", "a rather longer text about masks", "and one of middling length", "x " * 90, ""]


@pytest.fixture(scope="module")
def spec(tiny_model: Path) -> EmbedderSpec:
    return EmbedderSpec(model=str(tiny_model))


@pytest.fixture(scope="module")
def exported(spec: EmbedderSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "fp32"
    described = export_model(spec, folder, "fp32")
    assert described["cosine"] > 0.9999
    return folder


def test_the_vectors_are_the_models(exported: Path, spec: EmbedderSpec) -> None:
    seen: list[float] = []
    found = load_embedder(str(exported)).encode(TEXTS, lambda done, _: seen.append(done))
    assert found == pytest.approx(load_embedder(spec).encode(TEXTS), abs=1e-5)
    assert (found.dtype, seen) == (np.float32, [1.0])
    one = load_embedder(str(exported)).encode(TEXTS[1:2])
    assert one == pytest.approx(found[1:2], abs=1e-5)
    assert load_embedder(str(exported)).encode([]).shape == (0, 16)


def test_eight_bits_are_smaller_and_near(
    spec: EmbedderSpec, exported: Path, tmp_path: Path
) -> None:
    described = export_model(spec, tmp_path / "int8", "int8")
    assert described["precision"] == "int8"
    found = load_embedder(str(tmp_path / "int8")).encode(TEXTS)
    cosines = (found * load_embedder(spec).encode(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.97
    size = [(folder / "model.onnx").stat().st_size for folder in (tmp_path / "int8", exported)]
    assert size[0] < size[1]
    identities = {model_identity(EmbedderSpec(model=str(f))) for f in (exported, tmp_path / "int8")}
    assert len(identities) == 2, "other vectors, other cache"


def test_questions_may_be_encoded_by_an_export_of_the_same_model_over_the_same_index(
    exported: Path, spec: EmbedderSpec, tmp_path: Path
) -> None:
    fast = spec.model_copy(update={"questions": str(exported)})
    assert load_question_encoder(fast) is load_question_encoder(fast)
    assert load_question_encoder(fast).encode(TEXTS) == pytest.approx(
        load_question_encoder(spec).encode(TEXTS), abs=1e-5
    )
    keys = {
        Spec.model_validate({"embedder": one, "generator": {"kind": "extractive"}}).index_key
        for one in (spec.model_dump(), fast.model_dump())
    }
    assert len(keys) == 1
    other = tmp_path / "other"
    shutil.copytree(exported, other)
    described = json.loads((other / "export.json").read_text())
    (other / "export.json").write_text(json.dumps({**described, "source": "another"}))
    for wrong in (str(other), spec.model):
        with pytest.raises(ModelError, match="is not an export of"):
            load_question_encoder(spec.model_copy(update={"questions": wrong}))


def test_what_cannot_be_exported_or_read_is_named(
    exported: Path, spec: EmbedderSpec, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="exists already"):
        export_model(spec, exported, "fp32")
    with pytest.raises(InputError, match="is an export already"):
        export_model(EmbedderSpec(model=str(exported)), tmp_path / "twice", "fp32")
    with pytest.raises(ModelError, match="cannot be merged into the export"):
        load_embedder(EmbedderSpec(model=str(exported), adapter="anything"))
    with pytest.raises(ModelError, match="max_tokens = 64, but"):
        load_embedder(EmbedderSpec(model=str(exported), max_tokens=64))
    for name, text, reason in (
        ("export.json", "{}", "is no export of this version"),
        ("model.onnx", "nothing", "cannot load"),
        ("tokenizer.json", "nothing", "cannot read"),
    ):
        broken = tmp_path / name
        shutil.copytree(exported, broken)
        (broken / name).write_text(text)
        with pytest.raises(ModelError, match=reason):
            load_embedder(str(broken))


def test_an_export_that_is_not_finished_leaves_nothing(
    spec: EmbedderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragdiag.retrieval.onnx_export.LEAST_COSINE", {"fp32": 2.0})
    with pytest.raises(ModelError, match="gives other vectors"):
        export_model(spec, tmp_path / "made", "fp32")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_before_a_model_is_loaded(
    spec: EmbedderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: EmbedderSpec) -> None:
        raise AssertionError("the model was loaded")

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("ragdiag.retrieval.onnx_export.load_question_encoder", load)
    file = tmp_path / "file"
    file.write_text("")
    for inside in (file / "made", file / "deep" / "made"):
        with pytest.raises(InputError, match=r"be made: (Not a directory|File exists); name"):
            export_model(spec, inside, "fp32")
    with pytest.raises(InputError, match="cannot be made: File name too long; name a new folder"):
        export_model(spec, tmp_path / ("x" * 300), "fp32")
    monkeypatch.setattr("tempfile.TemporaryDirectory", read_only)
    with pytest.raises(InputError, match="made: Read-only file system; name a new folder in one"):
        export_model(spec, tmp_path / "made", "fp32")
    assert list(tmp_path.iterdir()) == [file]


def test_a_disk_that_fills_up_is_said_and_nothing_is_left(
    spec: EmbedderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for what in ("torch.onnx.export", "ragdiag.retrieval.onnx_export.shutil.copyfile"):
        with monkeypatch.context() as patched:
            patched.setattr(what, full)
            with pytest.raises(StoreFull, match=f"no space left for {tmp_path}"):
                export_model(spec, tmp_path / "made", "fp32")
        assert list(tmp_path.iterdir()) == []


def test_an_export_is_run_without_torch(exported: Path) -> None:
    code = (
        "import sys; from ragdiag.retrieval.embed import load_embedder; "
        f"load_embedder({str(exported)!r}).encode(['a question']); "
        "assert not {'torch', 'transformers', 'onnx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_a_session_that_fails_without_a_word_is_named_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    def fail(*given: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(ModelError, match=r"model\.onnx \(MemoryError\)"):
        _session(tmp_path / "model.onnx", 1)
