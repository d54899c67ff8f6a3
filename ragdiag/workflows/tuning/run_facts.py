"""What a run of ``ragdiag tune`` says of its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ragdiag.training.data.assemble import Assembled
from ragdiag.training.runs import Data, SetName
from ragdiag.workflows.tuning.tuned_change import HeldOut


def data_facts(assembled: Assembled, dev: int, sets: Sequence[HeldOut]) -> Data:
    """``dev`` counts the questions that training is steered by."""
    train = assembled.train
    held_out: dict[SetName, int] = {one.name: len(one.questions) for one in sets}
    return Data(
        train.data_hash,
        len(train.pairs),
        by_source=Counter(pair.source for pair in train.pairs),
        held_out={"dev": dev, **held_out},
        refused=refused_by_reason(assembled.report),
    )


def refused_by_reason(report: Mapping[str, Any]) -> dict[str, int]:
    """What gave no pair to learn from, and pairs that were left out, as ``Assembled.report`` has
    them."""
    if "joined" not in report:  # the sets of a run from before reports were kept
        return {}
    found = dict(report["joined"]["skipped"])
    found["without a text"] = report["without_text"]
    found["like a held-out question or passage"] = report["purged"]
    return {reason: n for reason, n in found.items() if n}
