"""What was found about a context's influence, as plain JSON and in words.

Both methods are told in one shape, a row for each part of the context: ``part_id``, ``passage_id``,
``rank`` (from 1, its passage's place in the prompt), ``influence`` (an estimate), ``role``,
``cited``; and ``answer_f1`` where answers were compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ragdiag.diagnosis.ablation import Ablation
from ragdiag.diagnosis.influence import FAILED, PassageInfluence, passage_ids
from ragdiag.records import ContextPassage, Estimate

Found = Mapping[str, Any]

EXACT = "exact: the generator repeats itself"
"""In place of an interval, where a document's ``deterministic`` is true."""
MOVING = ("carried", "misled", "changed", "supports", "opposes")
"""Roles of parts on which the answer depends."""


def leave_one_out_rows(found: Sequence[PassageInfluence]) -> list[dict[str, Any]]:
    return [{"part_id": one.passage_id, **one.to_json()} for one in found]


def ablation_rows(
    found: Ablation, context: Sequence[ContextPassage], cited: Collection[str]
) -> list[dict[str, Any]]:
    """``influence`` is the weight; ``role`` is ``supports`` or ``opposes`` where its interval
    leaves out 0."""
    places = passage_ids(context)
    return [
        {
            **one.to_json(),
            "rank": places.index(one.part.passage_id) + 1,
            "role": _role(one.weight),
            "cited": one.part.passage_id in cited,
        }
        for one in found.weights
    ]


def citation_faults(rows: Sequence[Found]) -> tuple[list[str], list[str]]:
    """Passages that are cited and none of whose parts moved the answer; passages that moved it and
    are not cited. What cannot be told is in neither."""
    parts: dict[str, list[Found]] = {}
    for row in rows:
        parts.setdefault(row["passage_id"], []).append(row)
    idle = [
        name
        for name, same in parts.items()
        if same[0]["cited"] and all(row["role"] == "none" for row in same)
    ]
    silent = [
        name
        for name, same in parts.items()
        if not same[0]["cited"] and any(row["role"] in MOVING for row in same)
    ]
    return idle, silent


def sentences(found: Found) -> list[str]:
    """The finding in words, the most important first."""
    rows = found["parts"]
    told = _ablation_words(found) if found["method"] == "ablation" else _left_out_words(found)
    idle, silent = citation_faults(rows)
    if idle:
        told.append(f"Cited, but without influence: {_names(idle)}.")
    if silent:
        told.append(f"Influential, but not cited: {_names(silent)}.")
    if found.get("reproduces") is False:
        told.append("Asked again, the generator answers otherwise than was logged.")
    return told


def _left_out_words(found: Found) -> list[str]:
    rows = found["parts"]
    if not rows:
        return ["The generator gave no answer, so no passage can be weighed."]
    carried, misled, changed, unsure = (
        [row["part_id"] for row in rows if row["role"] == role]
        for role in ("carried", "misled", "changed", "unsure")
    )
    failed = [row["part_id"] for row in rows if row["influence"].get("reason") == FAILED]
    untold = [name for name in unsure if name not in failed]
    told = []
    if carried:
        told.append(f"The answer rests on {_names(carried)}: without it the answer turns wrong.")
    if misled:
        told.append(
            f"The answer was misled by {_names(misled)}: without it the answer turns right."
        )
    if changed:
        told.append(f"Without {_names(changed)} the answer changes{_unturned(found)}.")
    if untold:
        told.append(f"The draws do not tell whether {_names(untold)} matters.")
    if failed:
        told.append(f"The generator failed without {_names(failed)}: its influence is not known.")
    if not told:
        told.append(
            "No passage alone changes the answer. Two that say the same thing can hide one another."
        )
    return told


def _unturned(found: Found) -> str:
    return {1: " and stays right", 0: " and stays wrong"}.get(found["y"], "")


def _ablation_words(found: Found) -> list[str]:
    rows = sorted(found["parts"], key=lambda row: -(row["influence"]["value"] or 0.0))
    for_it = [row["part_id"] for row in rows if row["role"] == "supports"]
    against = [row["part_id"] for row in reversed(rows) if row["role"] == "opposes"]
    told = []
    if for_it:
        told.append(f"The model says its answer because of {_names(for_it)}.")
    if against:
        told.append(f"It would say it more readily without {_names(against)}.")
    if not told:
        told.append("No part of the context clearly moves the answer's probability.")
    drop, score = (Estimate.from_json(found[name]) for name in ("drop", "datamodelling"))
    if drop.reason is None:
        strongest = _names(found["strongest"])
        told.append(f"Without {strongest} the answer's ln p falls by {drop.value:.2f}.")
    told.append(
        f"The weights rank {score.n} contexts that they were not fitted to with a Spearman "
        f"correlation of {score.value:.2f}."
        if score.reason is None
        else f"How far to trust the weights is not known: {score.reason}."
    )
    return told


def _role(weight: Estimate) -> str:
    if weight.value == 0:
        return "none"
    return "supports" if weight.low > 0 else "opposes" if weight.high < 0 else "unsure"


def _names(ids: Sequence[str]) -> str:
    """As a list in a sentence.

    >>> _names(["a"]), _names(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(ids[:-1]), ids[-1]])) if ids else ""
