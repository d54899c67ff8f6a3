"""What requests cost: the bill of a generator elsewhere, and the seconds of the machine here."""

from __future__ import annotations

from ragdiag.records import LATENCY_STAGES
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row
from ragdiag.store.weighing import read_weighed, weighed, weight_of

_AMOUNTS = {"bill": "usd", "seconds": "seconds", "both": "usd + seconds * $usd_per_second"}
_HERE = [f"{stage}_ms" for stage in LATENCY_STAGES if stage not in ("generation", "total")]
_GENERATION = "case when not is_paid then generation_ms end"
_TIMED = f"coalesce({', '.join(_HERE)}, {_GENERATION})"
_STAGES = " + ".join(f"coalesce({ms}, 0)" for ms in (*_HERE, _GENERATION))


def spent(lake: Lake, filters: Filters, usd_per_second: float) -> list[Row]:
    """By ``version_id``, for each amount how many requests have it, its sum and the sum of its
    squares: ``bill_n, bill, bill2, seconds_n, …, both2``, each a Weighed.

    ``bill`` is what the generator's tokens cost in US dollars, unknown where nothing named a price.
    ``seconds`` are those of the stages that ran here: all that were timed, without generation in a
    version that pays for it, whether the answer came or not; ``total`` where no stage was timed and
    nothing is paid for; of an answer from the cache ``total``. ``both`` is the bill with those
    seconds at ``usd_per_second``, where both are known.
    """
    condition, parameters = filters.where()
    sums = ", ".join(
        f"{weighed(f'(({x}) is not null)::int', f'{name}_n')}, {weighed(x, name)}, "
        f"{weighed(f'({x}) ** 2', f'{name}2')}"
        for name, x in _AMOUNTS.items()
    )
    return read_weighed(
        lake.rows(
            f"""with paying as (
                    select r.version_id, coalesce(max(r.cost_usd) > 0, false) as is_paid
                    from requests r where {condition} group by 1),
                timed as (
                    select r.version_id, {weight_of("r")} as weight,
                           case when r.cache_hit and is_paid then coalesce(r.cost_usd, 0)
                                else r.cost_usd end as usd,
                           case when r.cache_hit then total_ms
                                when {_TIMED} is not null then {_STAGES}
                                when not is_paid then total_ms end / 1e3 as seconds
                    from requests r join paying using (version_id) where {condition})
                select version_id, {sums} from timed group by 1 order by 1""",
            {**parameters, "usd_per_second": usd_per_second},
        )
    )
