"""What an embedder promises, by name: it says what changed where the hash did. Loads no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragdiag.retrieval.models import EXPORT, model_path
from ragdiag.version import EmbedderSpec


def embedder_contract(spec: EmbedderSpec) -> dict[str, Any]:
    """``adapter, max_tokens, pooling, title``; null where the model's files do not say.

    Raises ModelError where there is no such model.
    """
    folder = model_path(spec.model)
    return {
        "adapter": spec.adapter,
        "max_tokens": spec.max_tokens or _max_tokens(folder),
        "pooling": _pooling(folder),
        "title": spec.title,
    }


def _max_tokens(folder: Path) -> int | None:
    """An export's limit, sentence-transformers' own, else the tokenizer's, as it is saved since
    version 6."""
    own = _read(folder / EXPORT).get("max_tokens")
    own = own or _read(folder / "sentence_bert_config.json").get("max_seq_length")
    limit: int | None = own or _read(folder / "tokenizer_config.json").get("model_max_length")
    return limit


def _pooling(folder: Path) -> str | None:
    """``mean``, ``cls`` …; a model saved before version 6 says it by one flag a mode."""
    modules = _read(folder / "modules.json")
    for module in modules if isinstance(modules, list) else []:
        if str(module.get("type", "")).endswith(".Pooling"):
            held = _read(folder / module["path"] / "config.json")
            flags = sorted(name for name, on in held.items() if on is True and "_mode_" in name)
            modes = [name.removeprefix("pooling_mode_").removesuffix("_tokens") for name in flags]
            return held.get("pooling_mode") or "+".join(modes) or None
    return None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
