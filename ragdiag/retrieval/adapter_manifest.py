"""Which model an adapter was trained on, by its bytes: PEFT itself keeps only a path."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ragdiag.errors import ModelError
from ragdiag.retrieval.files import sha256_file

ADAPTER_MANIFEST = "ragdiag-adapter.json"
FORMAT = 1


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a model's one weight file, or over the names and hashes of several."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if len(files) == 1:
        return sha256_file(files[0])
    named = [f"{file.name}\0{sha256_file(file)}\0" for file in files]
    return hashlib.sha256("".join(named).encode()).hexdigest()


def write_adapter_manifest(adapter: Path, base: Path, data_hash: str) -> None:
    """Say in the folder ``adapter`` that it belongs to the model in ``base``."""
    held = {
        "format": FORMAT,
        "base": base.name,
        "base_sha256": weights_sha256(base),
        "method": "lora",
        "data_hash": data_hash,
    }
    text = json.dumps(held, indent=1, sort_keys=True) + "\n"
    (adapter / ADAPTER_MANIFEST).write_text(text, encoding="utf-8")


def require_base(adapter: Path, base: Path) -> None:
    """Raises ModelError where ``adapter`` says that it was trained on another model than ``base``.

    An adapter without a manifest says nothing; PEFT then checks its shapes alone.
    """
    path = adapter / ADAPTER_MANIFEST
    if not path.is_file():
        return
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        name, expected = str(held["base"]), str(held["base_sha256"])
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"cannot read {path}", remedy="train the adapter again") from None
    found = weights_sha256(base)
    if found != expected:
        raise ModelError(
            f"the adapter {adapter} was trained on {name} (SHA-256 {expected[:12]}…), and {base} "
            f"is another model ({found[:12]}…)",
            remedy="name that model, or an adapter trained on this one",
        )
