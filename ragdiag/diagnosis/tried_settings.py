"""Which settings of a version are worth trying on its own logged questions, and against what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ragdiag.version import Spec

DEEPEST = 1_000
"""Candidates of each path beyond which nobody reranks or fuses in time."""
PASSAGES = (10, 20)


@dataclass(frozen=True, slots=True)
class Setting:
    """A changed ``spec`` over the same index, what it may mend, and its lines of TOML."""

    name: str
    spec: Spec
    mends: tuple[str, ...]
    toml: str


def settings_to_try(spec: Spec) -> list[Setting]:
    """Deeper candidates, more passages, more room, the reranker deeper or gone; never the weight of
    the paths, which is learned and not guessed."""
    return list(_settings(spec))


def _settings(spec: Spec) -> Iterator[Setting]:
    for factor in (2, 4):
        if (depth := factor * spec.candidates.depth) <= DEEPEST:
            yield Setting(
                f"candidates {spec.candidates.depth} → {depth}",
                _changed(spec, "candidates", depth=depth),
                ("recall_miss", "beyond_logged_depth"),
                f"[candidates] depth = {depth}",
            )
    for k in PASSAGES:
        if k > spec.context.k:
            yield Setting(
                f"passages in the prompt {spec.context.k} → {k}",
                _changed(spec, "context", k=k),
                ("rerank_loss", "fusion_loss"),
                f"[context] k = {k}",
            )
    room = 2 * spec.context.max_tokens
    yield Setting(
        f"tokens in the prompt {spec.context.max_tokens:,} → {room:,}",
        _changed(spec, "context", max_tokens=room),
        ("packing",),
        f"[context] max_tokens = {room}",
    )
    if spec.reranker is not None:
        yield Setting(
            "no reranker",
            spec.model_copy(update={"reranker": None}),
            ("rerank_loss",),
            "no [reranker]",
        )
        if (depth := 2 * spec.reranker.depth) <= spec.candidates.depth:
            yield Setting(
                f"reranked hits {spec.reranker.depth} → {depth}",
                _changed(spec, "reranker", depth=depth),
                ("rerank_loss",),
                f"[reranker] depth = {depth}",
            )


def _changed(spec: Spec, table: str, **changes: Any) -> Spec:
    return spec.model_copy(update={table: getattr(spec, table).model_copy(update=changes)})
