"""May version B replace version A, by their latest evaluations of one split (METHODS.md §11)?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ragdiag.errors import InputError
from ragdiag.markdown import plain
from ragdiag.metrics.ranking import RANKING_METRICS
from ragdiag.records import Request
from ragdiag.stats.contrasts import paired_means
from ragdiag.stats.criteria import Criterion, Decision, combine, needed_for_all
from ragdiag.stats.gates import gate_quality
from ragdiag.stats.quantile_ratios import paired_quantiles
from ragdiag.stats.ratio_gates import gate_cost, gate_latency
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.comparing.compare import score_request
from ragdiag.workflows.comparing.gate_words import ADVICE, criteria_table, criteria_text
from ragdiag.workflows.comparing.pairing import asked_words, missing_words, pair_evaluations

GATE_METRICS = (*RANKING_METRICS, "correct", "token_f1")
DEFAULT_METRIC = "MRR@10"
OPTIONAL = ("cost",)
"""What need not be judged for B to pass: a model of one's own has no price."""


@dataclass(frozen=True)
class ReleaseGate:
    """The criteria over the ``n`` questions that both versions were asked, ``clusters`` of them
    independent; the split has ``size``, and ``unpaired`` ones were asked of one version only or of
    the two for different askers. ``snapshot`` is the state of the lake that was read."""

    a: Version
    b: Version
    split: str
    snapshot: int
    n: int
    clusters: int
    size: int
    unpaired: int
    criteria: Mapping[str, Criterion]

    @property
    def decision(self) -> Decision:
        return combine(self.criteria, optional=OPTIONAL)

    @property
    def needed_n(self) -> int | None:
        """How many questions would decide what is open, with 80 % chance."""
        if self.decision != "inconclusive":
            return None
        return needed_for_all(self.criteria.values())

    @property
    def needed_words(self) -> str:
        """:attr:`needed_n` as a sentence; empty where there is none."""
        if self.needed_n is None:
            return ""
        more = max(self.needed_n - self.n, 1)
        return f"About {more:,} more questions would decide, if all else stays as it is."

    def to_json(self) -> dict[str, Any]:
        return {
            "decision": self.decision,
            "a": self.a.name,
            "b": self.b.name,
            "split": self.split,
            "n": self.n,
            "split_size": self.size,
            "clusters": self.clusters,
            "unpaired": self.unpaired,
            **{name: found.to_json() for name, found in self.criteria.items()},
            "needed_n": self.needed_n,
            "snapshot": self.snapshot,
        }

    def to_text(self) -> str:
        return "\n".join(
            [
                f"{self.decision}: {self.b.name} in place of {self.a.name}, split {self.split}, "
                f"{self._asked()}, snapshot {self.snapshot}",
                *criteria_text(self.criteria),
                f"{ADVICE[self.decision]}{self._more()}",
                *([missing] if (missing := missing_words(self.n, self.size, self.split)) else []),
            ]
        )

    def to_markdown(self) -> str:
        """For a pull request: the decision, a table of the criteria, and what it rests on."""
        alone = f", {self.unpaired} more were asked of one version only or for different askers"
        unpaired = alone if self.unpaired else ""
        return "\n".join(
            [
                f"### Release gate: {self.decision}",
                "",
                f"{plain(self.b.name)} (B) in place of {plain(self.a.name)} (A). "
                f"{ADVICE[self.decision]}{self._more()}",
                "",
                *criteria_table(self.criteria),
                "",
                f"Split {plain(self.split)}, {self._asked()} asked of both{unpaired}; "
                f"workspace snapshot {self.snapshot}. Each criterion rolls back an equally good "
                "version with chance 2.5 %, and passes one at the limit (2 % worse, 10 % slower, "
                "10 % dearer) with chance 5 %.",
                "",
            ]
        )

    def _asked(self) -> str:
        about = "" if self.clusters == self.n else f" about {self.clusters} documents"
        return f"{asked_words(self.n, self.size)}{about}"

    def _more(self) -> str:
        return f" {self.needed_words}" if self.needed_words else ""


def gate_versions(
    lake: Lake,
    a: Version,
    b: Version,
    split: str,
    *,
    metric: str = DEFAULT_METRIC,
    slo_ms: float | None = None,
    seed: int = 0,
) -> ReleaseGate:
    """Judge B, the candidate, against A on the questions of ``split`` that both were asked. Those
    about one document are not independent: they count as one cluster (METHODS.md §10).

    Raises UnknownName where one of them has no evaluation on it, InputError for an unknown metric.
    """
    check_metric(metric)
    paired = pair_evaluations(lake, a, b, split)
    first, second, owners = paired.first, paired.second, paired.owners
    pairs = [(first[question], second[question]) for question in paired.questions]

    def scores(side: int) -> list[float]:
        return [score_request(pair[side], paired.judgments, paired.golds)[metric] for pair in pairs]

    def costs(side: int) -> list[float]:
        return [request_cost(pair[side]) for pair in pairs]

    def times(side: int) -> list[float]:
        return [request_ms(pair[side]) for pair in pairs]

    before, after = scores(0), scores(1)
    quality = gate_quality(paired_means(before, after, owners), metric)
    if all(map(math.isnan, before)):
        why = f"no question asked of both has a {metric} of A: name another with --metric"
        quality = replace(quality, reason=why)
    return ReleaseGate(
        a=a,
        b=b,
        split=split,
        snapshot=lake.snapshot(),
        n=len(pairs),
        clusters=len(set(owners)),
        size=paired.size,
        unpaired=paired.unpaired,
        criteria={
            "quality": quality,
            "latency": gate_latency(
                paired_quantiles(times(0), times(1), 0.95, clusters=owners, seed=seed), slo_ms
            ),
            "cost": gate_cost(paired_means(costs(0), costs(1), owners)),
        },
    )


def check_metric(metric: str) -> None:
    """Raises InputError that lists the metrics."""
    if metric not in GATE_METRICS:
        raise InputError(
            f"there is no metric {metric!r}", remedy=f"name one of: {', '.join(GATE_METRICS)}"
        )


def request_ms(request: Request) -> float:
    """The whole request's milliseconds; NaN where it was not timed, or answered from a cache."""
    return math.nan if request.cache_hit else request.latency_ms.get("total", math.nan)


def request_cost(request: Request) -> float:
    """The whole request's US dollars; NaN where they are not known, or it was answered from a
    cache."""
    return math.nan if request.cache_hit or request.cost_usd is None else request.cost_usd
