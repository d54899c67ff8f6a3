"""Which settings of a version are worth trying on its own logged questions, and against what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ragdiag.errors import InputError
from ragdiag.version import Spec

DEEPEST = 1_000
"""Candidates of each path beyond which nobody reranks or fuses in time."""
PASSAGES = (10, 20)
SHORTEST_CHUNK, LONGEST_CHUNK = 16, 8192


@dataclass(frozen=True, slots=True)
class Setting:
    """A changed ``spec``, what it may mend, and its lines of TOML; over the same index, or over one
    of the same documents cut into passages of ``chunk_tokens`` tokens."""

    name: str
    spec: Spec
    mends: tuple[str, ...]
    toml: str
    chunk_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _Name:
    """A setting that can be named: ``field`` of ``table``, and what else of it must hold then."""

    table: str
    field: str
    mends: tuple[str, ...]
    beside: Mapping[str, Any]


SETTABLE: Mapping[str, _Name] = {
    "k": _Name("context", "k", ("rerank_loss", "fusion_loss", "distraction"), {}),
    "tokens": _Name("context", "max_tokens", ("packing",), {}),
    "candidates": _Name("candidates", "depth", ("recall_miss", "beyond_logged_depth"), {}),
    "alpha": _Name("fusion", "alpha", ("fusion_loss",), {"kind": "convex"}),
    "rrf_k": _Name("fusion", "k", ("fusion_loss",), {"kind": "rrf"}),
    "rerank_depth": _Name("reranker", "depth", ("rerank_loss",), {}),
    "rerank_weight": _Name("reranker", "weight", ("rerank_loss",), {}),
}
CHUNK_TOKENS = "chunk_tokens"
CHUNKS_MEND = ("split_passage", "recall_miss", "packing")
NAMES = (*SETTABLE, CHUNK_TOKENS)

_MUST: Mapping[str, str] = {
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
}


def settings_to_try(spec: Spec) -> list[Setting]:
    """Deeper candidates, more passages or fewer, more room, the reranker deeper or gone; never the
    weight of the paths, which is learned and not guessed."""
    return list(_settings(spec))


def own_setting(spec: Spec, pairs: Sequence[str]) -> Setting:
    """One setting of all ``pairs`` such as ``k=10`` and ``alpha=.6``.

    Raises InputError that names the pair: it is none, its name is unknown or given twice, its value
    is out of range, the version has not what it sets, or all of them together change nothing.
    """
    given = _read_pairs(pairs)
    chunk = given.pop(CHUNK_TOKENS, None)
    if "alpha" in given and "rrf_k" in given:
        raise InputError("alpha and rrf_k are of two kinds of fusion", remedy="set one of them")
    changed, told, lines, mends = spec, list[str](), list[str](), list[str]()
    for name, value in given.items():
        known = SETTABLE[name]
        _require_part(spec, name)
        changed = _set(changed, name, value)
        before, after = (getattr(one, known.table) for one in (spec, changed))
        was, now = (f"{getattr(table, known.field):g}" for table in (before, after))
        held = all(getattr(before, key) == one for key, one in known.beside.items())
        told.append(f"{name} {was} → {now}" if held else f"{name} = {now}")
        kind = "".join(f'{key} = "{one}", ' for key, one in known.beside.items())
        lines.append(f"[{known.table}] {kind}{known.field} = {now}")
        mends += known.mends
    size = None if chunk is None else _chunk_size(chunk)
    if size is not None:
        told.append(f"passages of {size} tokens")
        lines.append(cut_anew(size))
        mends += CHUNKS_MEND
    elif changed == spec:
        raise InputError(
            f"{', '.join(pairs)} is what the version has already", remedy="set another value"
        )
    name = f"yours: {', '.join(told)}"
    return Setting(name, changed, tuple(dict.fromkeys(mends)), "; ".join(lines), size)


def cut_anew(tokens: int) -> str:
    return (
        f"ragdiag import corpus PATH --max-tokens {tokens} --rebuild, then name the gold passages "
        "again"
    )


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
            yield _passages(spec, k, ("rerank_loss", "fusion_loss"))
    if spec.context.k > 1:
        yield _passages(spec, spec.context.k // 2, ("distraction",))
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
        depth = min(2 * spec.reranker.depth, spec.candidates.depth)
        if depth > spec.reranker.depth:
            yield Setting(
                f"reranked hits {spec.reranker.depth} → {depth}",
                _changed(spec, "reranker", depth=depth),
                ("rerank_loss",),
                f"[reranker] depth = {depth}",
            )


def _passages(spec: Spec, k: int, mends: tuple[str, ...]) -> Setting:
    return Setting(
        f"passages in the prompt {spec.context.k} → {k}",
        _changed(spec, "context", k=k),
        mends,
        f"[context] k = {k}",
    )


def _changed(spec: Spec, table: str, **changes: Any) -> Spec:
    return spec.model_copy(update={table: getattr(spec, table).model_copy(update=changes)})


def _read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value or name not in NAMES:
            raise InputError(
                f"{pair!r} is no setting that can be tried",
                remedy=f"write NAME=VALUE with one of: {', '.join(NAMES)}",
            )
        if name in given:
            raise InputError(f"{name} is set twice", remedy="set it once")
        given[name] = value
    return given


def _require_part(spec: Spec, name: str) -> None:
    table = SETTABLE[name].table
    if table == "reranker" and spec.reranker is None:
        raise InputError(
            f"{name} needs a reranker, and the version has none", remedy="leave it out"
        )
    if table == "fusion" and (spec.embedder is None or spec.lexical is None):
        raise InputError(f"{name} weighs two paths, and the version has one", remedy="leave it out")


def _set(spec: Spec, name: str, value: str) -> Spec:
    known = SETTABLE[name]
    document = spec.model_dump()
    document[known.table] |= {known.field: value, **known.beside}
    try:
        table = getattr(Spec.model_validate(document), known.table)
    except ValidationError as error:
        raise InputError(
            f"{name}={value}: {_fault(name, error)}", remedy="see docs/versions.md"
        ) from None
    return spec.model_copy(update={known.table: table})


def _fault(name: str, error: ValidationError) -> str:
    """What the value must be, from the field's type and limits."""
    first = error.errors()[0]
    if first["type"] in _MUST:
        return f"{name} must be {_MUST[first['type']].format(**first.get('ctx', {}))}"
    return first["msg"].removeprefix("Value error, ")


def _chunk_size(value: str) -> int:
    if not value.isdecimal() or not SHORTEST_CHUNK <= int(value) <= LONGEST_CHUNK:
        raise InputError(
            f"{CHUNK_TOKENS}={value} is no size of a passage",
            remedy=f"name a whole number from {SHORTEST_CHUNK} to {LONGEST_CHUNK}",
        )
    return int(value)
