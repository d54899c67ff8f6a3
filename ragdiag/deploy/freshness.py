"""How far an index build lags behind the corpus. Loads no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.deploy.soundness import Measured, Target
from ragdiag.records import Finding, FindingStatus
from ragdiag.store.corpus import load_contents
from ragdiag.store.lake import Lake

STALE_SHARE = 0.01
"""More than this share of missing, changed and removed passages is bad; less is a warning."""

NAMED = 5
"""Passages of each kind that are named."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Passage ids by what became of them since the build: ``missing`` ones are in the corpus alone,
    ``ghosts`` in the build alone; ``known`` counts those in either."""

    known: int
    corpus: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    ghosts: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of the passages known to either, those that the two do not agree on."""
        return (len(self.missing) + len(self.changed) + len(self.ghosts)) / max(self.known, 1)

    def to_json(self) -> dict[str, Any]:
        kinds = {"missing": self.missing, "changed": self.changed, "ghosts": self.ghosts}
        counts = {name: len(ids) for name, ids in kinds.items()}
        named = {name: list(ids[:NAMED]) for name, ids in kinds.items() if ids}
        return {"corpus": self.corpus, **counts, "share": self.share, "such_as": named}


def compare_contents(built: Mapping[str, str], corpus: Mapping[str, str]) -> Freshness:
    """Both: passage → content hash.

    >>> compare_contents({"a": "1", "b": "1"}, {"a": "2", "c": "1"})
    Freshness(known=3, corpus=2, missing=('c',), changed=('a',), ghosts=('b',))
    """
    both = built.keys() & corpus.keys()
    return Freshness(
        known=len(built.keys() | corpus.keys()),
        corpus=len(corpus),
        missing=tuple(sorted(corpus.keys() - built.keys())),
        changed=tuple(sorted(one for one in both if built[one] != corpus[one])),
        ghosts=tuple(sorted(built.keys() - corpus.keys())),
    )


def look_at_freshness(lake: Lake, target: Target, pairs: Sequence[tuple[str, str]]) -> Measured:
    """``pairs``: (passage_id, content_hash) of the build."""
    found = compare_contents(dict(pairs), load_contents(lake))
    if not found.share:
        what = f"{target} has all {found.corpus} passages of the corpus as they are"
        return Finding(what, "good", name="freshness"), found.to_json()
    what = (
        f"{target} is older than the corpus: {len(found.missing)} of {found.corpus} passages "
        f"missing, {len(found.changed)} changed, {len(found.ghosts)} removed since"
    )
    status: FindingStatus = "bad" if found.share > STALE_SHARE else "warn"
    return Finding(what, status, target.rebuild, "freshness"), found.to_json()
