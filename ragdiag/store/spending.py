"""What requests cost: the bill of a generator elsewhere, and the seconds of the machine here."""

from __future__ import annotations

from typing import Any

from ragdiag.store.cost_sums import AMOUNTS, COST_MEASURES
from ragdiag.store.facts import MEASURES
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row, counted
from ragdiag.store.weighing import read_weighed, weighed, weight_of

_ADDED_UP = {name: MEASURES[name] for name in ("n", "priced", "cost_usd")} | dict(COST_MEASURES)
_C = "$usd_per_second"
_SUMS = {
    "bill_n": ("billed", "priced"),
    "bill1": ("cost_usd", "cost_usd"),
    "bill2": ("cost_usd2", "cost_usd2"),
    "seconds_n": ("here", "timed"),
    "seconds1": ("here_seconds", "seconds"),
    "seconds2": ("here_seconds2", "seconds2"),
    "both_n": ("billed_here", "priced_timed"),
    "both1": (f"billed_usd + {_C} * billed_seconds", f"{_C} * priced_seconds"),
    "both2": (
        f"billed_usd2 + 2 * {_C} * billed_usd_seconds + {_C} * {_C} * billed_seconds2",
        f"{_C} * {_C} * priced_seconds2",
    ),
}
"""What is told, of the sums of a version that pays for its generator and of one that does not."""


def spent(lake: Lake, filters: Filters, usd_per_second: float) -> list[Row]:
    """By ``version_id``, for each amount how many requests have it, its sum and the sum of its
    squares: ``bill_n, bill, bill2, seconds_n, …, both2``, each a Weighed; sums of none are None.

    ``bill`` is what the generator's tokens cost in US dollars, unknown where nothing named a price.
    ``seconds`` are those of the stages that ran here: all that were timed, without generation in a
    version that pays for it, whether the answer came or not; ``total`` where no stage was timed and
    nothing is paid for; of an answer from the cache ``total``. ``both`` is the bill with those
    seconds at ``usd_per_second``, where both are known.
    """
    source, parameters = _sums(lake, filters)
    sums = ", ".join(f"sum({name}) as {name}" for name in _ADDED_UP)
    chosen = ", ".join(
        f"case when is_paid then {pays} else {free} end as {name}"
        for name, (pays, free) in _SUMS.items()
    )
    told = ", ".join(
        f"{weighed(f'{x}_n', f'{x}_n')}, {_known(x, f'{x}1', x)}, {_known(x, f'{x}2', f'{x}2')}"
        for x in ("bill", "seconds", "both")
    )
    return read_weighed(
        lake.rows(
            f"""with alike as (
                    select version_id, weight, {sums} from ({source}) group by all
                    having sum(n) > 0),
                paying as (
                    select *, sum(paid) over (partition by version_id) > 0 as is_paid from alike),
                amounts as (select version_id, weight, {chosen} from paying)
                select version_id, {told} from amounts group by 1 order by 1""",
            {**parameters, "usd_per_second": usd_per_second},
        )
    )


def _sums(lake: Lake, filters: Filters) -> tuple[str, dict[str, Any]]:
    """A SELECT of _ADDED_UP by version and weight, and its parameters: from the rollup, or from the
    rows where words in a question are looked for or an amount is too large to be in a rollup."""
    if not filters.text:
        source, parameters = counted(filters)
        (found,) = lake.rows(f"select sum(outsized) as n from ({source})", parameters)
        if not found["n"]:
            return source, parameters
    condition, parameters = filters.where()
    sums = ", ".join(f"sum({sql}) as {name}" for name, sql in _ADDED_UP.items())
    return (
        f"""select s.version_id, s.weight, {sums}
            from (select r.version_id, r.cost_usd, {weight_of("r")} as weight, {AMOUNTS}
                  from requests r where {condition}) s
            group by all""",
        parameters,
    )


def _known(amount: str, summed: str, name: str) -> str:
    """A column ``name`` of a sum over those of whom the ``amount`` is known; null where there are
    none."""
    return weighed(f"case when {amount}_n > 0 then {summed} end", name)
