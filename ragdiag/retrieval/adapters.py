"""Adapters (LoRA, Hu et al. 2021) as files: what they were made for, and merging them on load.

    FOLDER/adapter_config.json, adapter_model.safetensors     PEFT's own
    FOLDER/ragdiag-adapter.json                               what the adapter belongs to

PEFT's configuration names its base by a path, which says nothing about the weights that lie there
today; ours names them by their hash. An adapter without it, made elsewhere, can only be tried.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ragdiag.errors import ModelError, first_line
from ragdiag.retrieval.files import sha256_file
from ragdiag.retrieval.models import adapter_path, weights_hash
from ragdiag.version import EmbedderSpec

MANIFEST = "ragdiag-adapter.json"
FORMAT = 1

Side = Literal["questions", "both"]


@dataclass(frozen=True)
class AdapterManifest:
    """``base`` is a name for people, ``base_sha256`` what counts (:func:`base_hash`); ``files`` are
    PEFT's by their SHA-256. ``side`` is what a retriever's adapter may encode: questions alone,
    over an index that stays as it is, or passages too; None for other models."""

    base: str
    base_sha256: str
    method: str
    data_hash: str
    side: Side | None = None
    options: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def write_manifest(folder: Path, manifest: AdapterManifest) -> None:
    held = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(held + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> AdapterManifest | None:
    """None where there is none. Raises ModelError where it cannot be read, or where PEFT's files
    are not the ones that it was written for."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held.pop("format") != FORMAT:
            raise ValueError("another format")
        manifest = AdapterManifest(**held)
        changed = [
            name for name, known in manifest.files.items() if _sha256(folder / name) != known
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(
            f"{path} cannot be read", remedy="copy the adapter's folder again, or train it again"
        ) from None
    if changed:
        raise ModelError(
            f"{folder / changed[0]} is not the file that was trained",
            remedy="copy the adapter's folder again, or train it again",
        )
    return manifest


def base_hash(model: str, adapter: str | None = None) -> str:
    """SHA-256 of a model's weights; with an ``adapter`` merged, of both. Raises ModelError."""
    weights = weights_hash(model)
    if adapter is None:
        return weights
    folder = adapter_path(adapter)
    parts = [weights, *(_sha256(path) for path in sorted(folder.glob("adapter_*")))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def check_adapters(spec: EmbedderSpec) -> None:
    """Whether a version's adapters are whole, of its model, and on the side that they were trained
    for. Loads no model. Raises ModelError."""
    if spec.adapter is not None:
        folder = adapter_path(spec.adapter)
        require_base(folder, spec.model)
        manifest = read_manifest(folder)
        if manifest is not None and manifest.side == "questions":
            raise ModelError(
                f"the adapter at {folder} was trained for questions alone",
                remedy="name it as question_adapter in [embedder]",
            )
    if spec.question_adapter is not None:
        _check_question_adapter(adapter_path(spec.question_adapter), spec)


def require_base(folder: Path, model: str) -> None:
    """Raises ModelError where the adapter in ``folder`` is not whole, or was trained on another
    model than ``model``. Without a manifest it says nothing of that; merging then checks shapes."""
    manifest = read_manifest(folder)
    if manifest is not None:
        _check_base(folder, manifest, model, base_hash(model))


def _check_question_adapter(folder: Path, spec: EmbedderSpec) -> None:
    manifest = read_manifest(folder)
    if manifest is None or manifest.side != "questions":
        known = "has no " + MANIFEST if manifest is None else "was trained with the passages"
        raise ModelError(
            f"the question adapter at {folder} {known}",
            remedy="name an adapter that was trained with the passages' vectors frozen, or name "
            "this one as adapter and build the index again",
        )
    base = spec.model if spec.adapter is None else f"{spec.model} with {spec.adapter}"
    _check_base(folder, manifest, base, base_hash(spec.model, spec.adapter))


def merge_adapter(model: Any, folder: Path) -> Any:
    """``model`` (of transformers) with the adapter's weights added to its own. Raises ModelError
    where they do not fit."""
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            # PEFT only warns where weights are missing, and goes on with random ones.
            warnings.filterwarnings("error", message=".*missing adapter keys.*")
            # PEFT asks transformers under a name that is going away; nothing for the user to do.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
            return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except Exception as error:  # PEFT and safetensors share no type for a file that does not fit
        raise ModelError(
            f"the adapter at {folder} does not fit the model ({first_line(error)})",
            remedy="name an adapter that was trained on this model",
        ) from None


def _check_base(folder: Path, manifest: AdapterManifest, name: str, found: str) -> None:
    if manifest.base_sha256 != found:
        raise ModelError(
            f"the adapter at {folder} was trained on {manifest.base} "
            f"({manifest.base_sha256[:12]}…), not on {name} ({found[:12]}…)",
            remedy="name the model it was trained on, or train an adapter on this one",
        )


def _sha256(path: Path) -> str:
    return sha256_file(path) if path.is_file() else "missing"
