"""What requests cost: the bill of a generator elsewhere, and the seconds of the machine here."""

from __future__ import annotations

from ragdiag.store.lake import Lake
from ragdiag.store.outcomes import PROCESSING_MS
from ragdiag.store.queries import Filters, Row
from ragdiag.store.trends import Split, segment_of
from ragdiag.store.weighing import read_weighed, weighed, weight_of

_AMOUNTS = {
    "bill": "usd",
    "seconds": "seconds",
    "machine": "seconds * $usd_per_second",
    "both": "usd + seconds * $usd_per_second",
}


def spent(lake: Lake, filters: Filters, usd_per_second: float, split: Split) -> list[Row]:
    """By segment, for each amount how many requests have it, its sum and the sum of its squares:
    ``bill_n, bill, bill2, seconds_n, …, both2``, each a Weighed.

    ``bill`` is what the generator's tokens cost in US dollars, unknown where nothing named a price.
    ``seconds`` are those of the stages that ran here: without a wait in line, and without the wait
    for an answer that was paid for; of an answer from the cache its whole time. ``machine`` are
    they at ``usd_per_second``, and ``both`` that with the bill, where both are known.
    """
    condition, parameters = filters.where()
    sums = ", ".join(
        f"{weighed(f'(({x}) is not null)::int', f'{name}_n')}, {weighed(x, name)}, "
        f"{weighed(f'({x}) ** 2', f'{name}2')}"
        for name, x in _AMOUNTS.items()
    )
    return read_weighed(
        lake.rows(
            f"""with timed as (
                    select {segment_of(split)} as segment, {weight_of("r")} as weight, cost_usd,
                           coalesce({PROCESSING_MS}, case when cache_hit then total_ms end) as ms,
                           case when cost_usd > 0 then coalesce(generation_ms, 0) else 0 end
                               as elsewhere_ms
                    from requests r where {condition}),
                each as (
                    select segment, weight, cost_usd as usd,
                           case when ms is not null then greatest(ms - elsewhere_ms, 0) / 1e3 end
                               as seconds
                    from timed)
                select segment, {sums} from each group by segment order by segment""",
            {**parameters, "usd_per_second": usd_per_second},
        )
    )
