"""Which trec_eval measures are offered, under which names, and how they are summed up.

trec_eval prints its measures in a fixed order, whatever the order of asking: that of MEASURES.
Its preference measures and gains by parameter are not offered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ragdiag.metrics import trec_measures as measures
from ragdiag.metrics.trec_ranking import JudgedRanking

Summary = Literal["mean", "sum", "geometric", "queries", "none"]
"""``queries`` and ``geometric`` have no line by query, ``none`` has no line over all."""

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
        if not self.cutoffs or (self.name == "relstring" and cutoff in self.cutoffs):
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
        Measure(
            "iprec_at_recall", measures.interpolated_precision, RECALLS, rank_cutoffs=False
        ),
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
        _plain(
            "num_nonrel_judged_ret", measures.num_nonrel_judged_ret, summary="sum", count=True
        ),
        _plain("rbp", measures.rank_biased_precision),
        _plain("rbp_resid", measures.rank_biased_residual),
        _at_ranks("unj", measures.unjudged_at, (5, 10, 20)),
    )
}
"""In the order in which trec_eval prints them; ``runid``, a text about the run, comes first."""

OFFICIAL = (
    "num_q num_ret num_rel num_rel_ret map gm_map Rprec bpref recip_rank iprec_at_recall P"
).split()
SET = (
    "num_q num_ret num_rel num_rel_ret utility set_P set_recall set_relative_P set_map set_F"
).split()
NICKNAMES = {"official": ("runid", *OFFICIAL), "set": ("runid", *SET), "all_trec": ("runid", *MEASURES)}
"""trec_eval's own names for several measures at once."""
