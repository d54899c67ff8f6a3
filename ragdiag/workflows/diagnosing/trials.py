"""What a setting is tried on, what it finds there, and the lever of one that cannot be tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ragdiag.diagnosis.levers import Lever, WorkRates
from ragdiag.diagnosis.tried_settings import Setting
from ragdiag.errors import RagdiagError
from ragdiag.records import Estimate, Request
from ragdiag.version import Spec
from ragdiag.workflows.diagnosing.lever_costs import Prices
from ragdiag.workflows.diagnosing.what_if import Found

EMBEDDED, WORDS_ALONE = 4_000, 50_000
"""Passages up to which all of them are read anew unasked: with an embedder, and without one."""


@dataclass(frozen=True)
class Trial:
    """A version's requests with their judgments; those whose id is in ``to_answer`` are answered
    anew under each setting. Requests of one owner (the document that answers them) belong together.
    ``most_recut`` is how many passages are cut anew unasked (recut.py)."""

    spec: Spec
    requests: Sequence[Request]
    owners: Sequence[str]
    to_answer: set[str]
    judgments: Mapping[str, Mapping[str, int]]
    rates: WorkRates
    prices: Prices
    most_recut: int | None = None

    @cached_property
    def asked(self) -> list[int]:
        """Which requests are answered anew, by their places."""
        return [n for n, one in enumerate(self.requests) if one.request_id in self.to_answer]

    def relevant(self, request: Request) -> set[str]:
        judged = self.judgments.get(request.question_id or "", {})
        return {passage for passage, grade in judged.items() if grade > 0}


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting and what it finds, with a ``note`` where there is more to know of it."""

    setting: Setting
    found: Sequence[Found]
    note: str = ""


def untried(name: str, mends: tuple[str, ...], why: RagdiagError, trial: Trial) -> Lever:
    nothing = Estimate.undefined(f"not tried: {why.message}")
    return Lever(
        name,
        mends,
        "measured",
        nothing,
        trial.rates.setting,
        why.remedy,
        slower=Estimate.undefined("not tried"),
        dearer=Estimate.undefined("not tried"),
    )
