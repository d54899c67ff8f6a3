"""Patterns of the workspace's own, run by RE2: linear in the text, so no text can stall ingest.

RE2 comes with Arrow. It has no lookaround and no backreferences, which is what makes it linear;
a pattern that asks for them is refused by name.
"""

from __future__ import annotations

import itertools

import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.errors import InputError
from ragdiag.privacy.rules import Rule, label

_PROBES = ["".join(parts) for n in range(4) for parts in itertools.product("a1 \n-", repeat=n)]
"""Between them they have every kind of place that a pattern without width can ask for."""


def custom_rule(name: str, pattern: str) -> Rule:
    """The rule ``[privacy.patterns] name = "pattern"``.

    Raises InputError for what RE2 does not read and for a pattern that matches nothing at all
    somewhere, since it would find itself again in every text.
    """
    try:
        probes = pa.array(_PROBES)
        found = pc.count_substring_regex(probes, pattern)
        left = pc.replace_substring_regex(probes, pattern, "")
    except pa.ArrowInvalid as error:
        raise InputError(
            f"privacy.patterns.{name} is no pattern for RE2 ({error})",
            remedy="write it without lookaround and backreferences (RE2 syntax)",
        ) from None
    empty = pc.and_(pc.greater(found, 0), pc.equal(left, probes))
    if pc.any(empty).as_py():
        raise InputError(
            f"privacy.patterns.{name} = {pattern!r} also matches where there is nothing",
            remedy="make it match at least one character",
        )

    def replace(text: str) -> tuple[str, int]:
        piece = pa.array([text])
        (count,) = pc.count_substring_regex(piece, pattern).to_pylist()
        (replaced,) = pc.replace_substring_regex(piece, pattern, label(name)).to_pylist()
        return replaced, count

    return Rule(name, pattern, replace)
