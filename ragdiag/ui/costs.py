"""What a million queries cost, on Latency (by version) and on Versions (two of them)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from ragdiag.configuration import DEAREST_MACHINE, read_configuration
from ragdiag.drift.costs import Amount, Spending, spending
from ragdiag.store.queries import Filters
from ragdiag.ui import tables, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View

MEANING = (
    "Tokens: by the generator's prices. Machine: the time of the stages that ran here, one query "
    "after the other, without a wait in line and without generation where tokens are paid for; "
    "`total` where no stage was timed. Together: of the requests of which both are known. Answers "
    "from the cache count with what they cost."
)
UNPRICED = (
    "Say what the machine costs an hour to see it in money: here, or for good as "
    "`machine_usd_per_hour` under `[costs]` in `ragdiag.toml`."
)
Told = dict[str, tuple[Callable[[Spending], Amount], str]]
"""Title → what it tells of a version, and its unit."""


def draw(view: View, filters: Filters, names: Mapping[str, str]) -> None:
    """Every version's, the dearest first."""
    price = _machine_price(view, "latency_machine")
    by_name = sorted(
        fetch(view, spending, filters, price),
        key=lambda row: names.get(row.version_id, row.version_id),
    )
    rows = sorted(by_name, key=lambda row: _worth(row, price), reverse=True)
    tables.show(
        {
            "Version": [names.get(row.version_id, row.version_id) for row in rows],
            **{
                f"{title} (95 % interval, n)": [
                    words.with_interval(amount(row).estimate(), unit) for row in rows
                ]
                for title, (amount, unit) in _told(price).items()
            },
        },
        key="costs",
    )
    st.caption(_explained(price))


def draw_two(view: View, a: str, b: str) -> None:
    """Those of the evaluations of two versions, by their ids, side by side."""
    price = _machine_price(view, "versions_machine")
    (first,), (second,) = (
        fetch(view, spending, Filters("evaluation", side), price) for side in (a, b)
    )
    told = _told(price)
    sides = [
        [words.with_interval(amount(side).estimate(), unit) for amount, unit in told.values()]
        for side in (first, second)
    ]
    tables.show(
        {
            "A million queries": list(told),
            "A (95 % interval, n)": sides[0],
            "B (95 % interval, n)": sides[1],
            "Change B − A": [
                words.change(amount(second).since(amount(first)), unit)
                for amount, unit in told.values()
            ],
        },
        key="costs",
    )
    st.caption(
        "Over all evaluation requests of each version, compared as if they were of other "
        f"questions. {_explained(price)}"
    )


def _machine_price(view: View, key: str) -> float:
    """What an hour of the machine costs in US dollars, as the reader says; 0 where nobody did."""
    box, _ = st.columns([1, 4])
    with box:
        return st.number_input(
            "Machine, US dollars an hour",
            min_value=0.0,
            max_value=DEAREST_MACHINE,
            value=read_configuration(view.workspace).costs.machine_usd_per_hour,
            step=0.01,
            format="%.3f",
            key=key,
            bind="query-params",
        )


def _told(price: float) -> Told:
    """Sums of money only where the machine has a price."""
    told: Told = {
        "Tokens": (lambda row: row.tokens, "usd"),
        "Machine, hours": (lambda row: row.hours, "hours"),
    }
    if price:
        told["Machine"] = (lambda row: row.machine, "usd")
        told["Together"] = (lambda row: row.together, "usd")
    return told


def _explained(price: float) -> str:
    return MEANING if price else f"{MEANING} {UNPRICED}"


def _worth(row: Spending, price: float) -> tuple[float, float]:
    """By money where the machine has a price; else by the bill, and by hours without one."""
    amounts = (row.together,) if price else (row.tokens, row.hours)
    values = [one.estimate().value if one.is_known else 0.0 for one in amounts]
    return values[0], values[-1]
