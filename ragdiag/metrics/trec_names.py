"""Which trec_eval measures are offered, under which names, and how they are summed up.

trec_eval prints its measures in a fixed order, whatever the order of asking: that of MEASURES.
Its preference measures and gains by parameter are not offered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ragdiag.errors import InputError
from ragdiag.metrics import trec_measures as measures
from ragdiag.metrics.trec_ranking import JudgedRanking

Summary = Literal["mean", "sum", "geometric", "queries", "none"]
SUMMARY_ONLY = ("queries", "geometric")
"""These have no line by query; ``none`` has no line over all."""

RANKS: tuple[float, ...] = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
RECALLS = tuple(tenth / 10 for tenth in range(11))
MULTIPLES = tuple(fifth / 5 for fifth in range(1, 11))


@dataclass(frozen=True, slots=True)
class Measure:
    """A family of measures: ``cutoffs`` are its defaults, empty where it takes none.

    ``at`` computes one value; a measure without cutoffs is given 0 and ignores it. A ``count`` is
    printed as a whole number; ``rank_cutoffs`` are whole, other cutoffs have two decimals.
    """

    name: str
    at: Callable[[JudgedRanking, float], float | str]
    cutoffs: tuple[float, ...] = ()
    summary: Summary = "mean"
    count: bool = False
    rank_cutoffs: bool = True

    def label(self, cutoff: float) -> str:
        """The printed name.

        >>> MEASURES["P"].label(5), MEASURES["iprec_at_recall"].label(0.1)
        ('P_5', 'iprec_at_recall_0.10')
        """
        if not self.cutoffs:
            return self.name
        return f"{self.name}_{int(cutoff)}" if self.rank_cutoffs else f"{self.name}_{cutoff:.2f}"


def _plain(
    name: str,
    measure: Callable[[JudgedRanking], float],
    summary: Summary = "mean",
    count: bool = False,
) -> Measure:
    return Measure(name, lambda ranking, _: measure(ranking), summary=summary, count=count)


def _at_ranks(
    name: str,
    measure: Callable[[JudgedRanking, int], float | str],
    cutoffs: tuple[float, ...] = RANKS,
    summary: Summary = "mean",
) -> Measure:
    return Measure(name, lambda ranking, k: measure(ranking, int(k)), cutoffs, summary)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _plain("num_q", lambda ranking: 1, summary="queries", count=True),
        _plain("num_ret", lambda ranking: ranking.num_ret, summary="sum", count=True),
        _plain("num_rel", lambda ranking: ranking.num_rel, summary="sum", count=True),
        _plain("num_rel_ret", lambda ranking: ranking.num_rel_ret, summary="sum", count=True),
        _plain("map", measures.average_precision),
        _plain("gm_map", measures.average_precision, summary="geometric"),
        _plain("Rprec", measures.r_precision),
        _plain("bpref", measures.bpref),
        _plain("recip_rank", measures.reciprocal_rank),
        Measure("iprec_at_recall", measures.interpolated_precision, RECALLS, rank_cutoffs=False),
        _at_ranks("P", measures.precision_at),
        _at_ranks("relstring", measures.relevance_string, (10,), summary="none"),
        _at_ranks("recall", measures.recall_at),
        _plain("infAP", measures.inferred_average_precision),
        _plain("gm_bpref", measures.bpref, summary="geometric"),
        Measure("Rprec_mult", measures.r_multiple_precision, MULTIPLES, rank_cutoffs=False),
        _plain("utility", measures.utility),
        _plain("11pt_avg", measures.eleven_point_average),
        _plain("binG", measures.binary_gain),
        _plain("G", measures.gain),
        _plain("ndcg", measures.ndcg),
        _plain("ndcg_rel", measures.ndcg_over_relevant),
        _plain("Rndcg", measures.ndcg_at_level_ends),
        _at_ranks("ndcg_cut", measures.ndcg_at),
        _at_ranks("map_cut", measures.average_precision_at),
        _at_ranks("relative_P", measures.relative_precision_at),
        _at_ranks("success", measures.success_at, (1, 5, 10)),
        _plain("set_P", measures.set_precision),
        _plain("set_relative_P", measures.set_relative_precision),
        _plain("set_recall", measures.set_recall),
        _plain("set_map", measures.set_map),
        _plain("set_F", measures.set_f),
        _plain("num_nonrel_judged_ret", measures.num_nonrel_judged_ret, summary="sum", count=True),
        _plain("rbp", measures.rank_biased_precision),
        _plain("rbp_resid", measures.rank_biased_residual),
        _at_ranks("unj", measures.unjudged_at, (5, 10, 20)),
    )
}
"""In the order in which trec_eval prints them; ``runid``, a text about the run, comes first."""

_COUNTS = ("runid", "num_q", "num_ret", "num_rel", "num_rel_ret")
_MAIN = ("map", "gm_map", "Rprec", "bpref", "recip_rank", "iprec_at_recall", "P")
_UNRANKED = ("utility", "set_P", "set_recall", "set_relative_P", "set_map", "set_F")
NICKNAMES = {
    "official": (*_COUNTS, *_MAIN),
    "set": (*_COUNTS, *_UNRANKED),
    "all_trec": ("runid", *MEASURES),
}
"""trec_eval's own names for several measures at once."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value to compute for every query: a measure at one cutoff, and its printed name."""

    label: str
    measure: Measure
    cutoff: float


def choose_measures(names: Iterable[str]) -> tuple[Choice, ...]:
    """What trec_eval's -m with each of these names would print, in its order.

    A name is a measure (``map``; all default cutoffs of ``ndcg_cut``), a measure with cutoffs
    (``ndcg_cut_10``, ``ndcg_cut.10,20``) or a nickname. Cutoffs that are given stand in for the
    default ones, whoever asked for those. Raises InputError for anything else.

    >>> [choice.label for choice in choose_measures(["P_5", "map", "P", "P.10,7"])]
    ['map', 'P_5', 'P_7', 'P_10']
    """
    given: dict[str, set[float]] = {}
    for name in names:
        for part in NICKNAMES.get(name, (name,)):
            if part != "runid":
                measure, cutoffs = _read_name(part)
                given.setdefault(measure.name, set()).update(cutoffs)
    return tuple(
        choice
        for measure in MEASURES.values()
        if measure.name in given
        for choice in _choices(measure, sorted(given[measure.name]))
    )


def asks_for_run_id(names: Iterable[str]) -> bool:
    """Whether trec_eval would print the run's own name among these measures."""
    return any(name == "runid" or name in NICKNAMES for name in names)


def _choices(measure: Measure, cutoffs: Sequence[float]) -> list[Choice]:
    """``cutoffs`` are those that were asked for; without any, the measure's own."""
    if cutoffs or measure.summary != "none":
        cutoffs = cutoffs or measure.cutoffs or (0,)
        return [Choice(measure.label(cutoff), measure, cutoff) for cutoff in cutoffs]
    return [Choice(measure.name, measure, cutoff) for cutoff in measure.cutoffs]


def _read_name(name: str) -> tuple[Measure, tuple[float, ...]]:
    if name in MEASURES:
        return MEASURES[name], ()
    for base, _, cutoffs in (name.rpartition("_"), name.partition(".")):
        measure = MEASURES.get(base)
        if measure and measure.cutoffs:
            return measure, tuple(_cutoff(text, measure, name) for text in cutoffs.split(","))
    with_cutoffs = [f"{measure.name}_K" for measure in MEASURES.values() if measure.cutoffs]
    plain = [measure.name for measure in MEASURES.values() if not measure.cutoffs]
    raise InputError(
        f"unknown metric {name!r}",
        remedy=f"choose from {', '.join([*NICKNAMES, 'runid', *plain, *with_cutoffs])}",
    )


def _cutoff(text: str, measure: Measure, name: str) -> float:
    try:
        # A float would print another rank than was asked for, from 2⁵³ on.
        cutoff = int(text) if measure.rank_cutoffs else float(text)
    except ValueError:
        cutoff = -1.0
    lowest = 1 if measure.rank_cutoffs else 0
    if not lowest <= cutoff < math.inf:
        kind = "a whole number from 1 on" if measure.rank_cutoffs else "a number from 0 on"
        raise InputError(
            f"metric {name!r} has the cutoff {text!r}", remedy=f"give {kind}, as {measure.label(5)}"
        )
    return cutoff
