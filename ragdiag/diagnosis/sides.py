"""Retriever or generator: the first question about a failure, which takes less evidence than its
part.

The prompt lacked gold, or held it: the log alone tells that, also where only a replay would tell
what went wrong with the gold that was there (tier B, METHODS.md §7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ragdiag.records import Cause, Diagnosis, Verdict

Side = Literal["retrieval", "generator"]

SIDES: Mapping[Verdict, Side] = {
    "corpus": "retrieval",
    "retrieval": "retrieval",
    "packing": "retrieval",
    "distraction": "generator",
    "generator": "generator",
}
"""Of verdicts that name a part. A distraction counts for the generator, which had what it needed; a
suspect label for neither."""


def side_of(diagnosis: Diagnosis) -> Side | None:
    """None for a success, for a suspect label, and where nothing tells.

    >>> side_of(Diagnosis("r", "in_context", "undetermined", "no_fix", "B", {}))
    'generator'
    """
    if diagnosis.verdict == "undetermined" and gold_arrived(diagnosis) == "in_context":
        return "generator"
    return SIDES.get(diagnosis.verdict)


def gold_arrived(diagnosis: Diagnosis) -> Cause | None:
    """How far gold came; where it is not known, the passages that hold the gold answer."""
    if diagnosis.cause != "gold_unknown":
        return diagnosis.cause
    found: Cause | None = diagnosis.evidence.get("signs", {}).get("answer_at")
    return found
