"""What a million queries cost, on Latency (by version) and on Versions (two of them)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from ragdiag.drift.costs import Amount, Spending
from ragdiag.ui import tables, words

MEANING = (
    "Tokens: by the generator's prices. Machine: the time of the stages that ran here, one query "
    "after the other, without a wait in line or for an answer that is paid by tokens. Answers from "
    "the cache count with what they cost."
)
UNPRICED = (
    "Say what the machine costs an hour to see it in money: here, or for good as "
    "`machine_usd_per_hour` under `[costs]` in `ragdiag.toml`."
)


def machine_price(configured: float) -> float:
    """What an hour of the machine costs in US dollars, as the reader says; 0 where nobody did."""
    box, _ = st.columns([1, 4])
    with box:
        return st.number_input(
            "Machine, US dollars an hour",
            min_value=0.0,
            value=configured,
            step=0.01,
            format="%.3f",
            key="machine",
            bind="query-params",
        )


def show(rows: Sequence[Spending], names: Mapping[str, str]) -> None:
    """The table by version, the dearest first, and how to read it."""
    rows = sorted(rows, key=lambda row: (-_size(row), names.get(row.segment, row.segment)))
    tables.show(
        {
            "Version": [names.get(row.segment, row.segment) for row in rows],
            **{
                f"{title} (95 % interval, n)": [
                    words.with_interval(amount(row).estimate(), unit) for row in rows
                ]
                for title, (amount, unit) in _told(rows).items()
            },
        },
        key="costs",
    )
    _explain(rows)


def compare(a: Spending, b: Spending) -> None:
    """Two versions side by side."""
    told = _told((a, b))
    sides = [
        [words.with_interval(amount(side).estimate(), unit) for amount, unit in told.values()]
        for side in (a, b)
    ]
    tables.show(
        {
            "A million queries": list(told),
            "A (95 % interval, n)": sides[0],
            "B (95 % interval, n)": sides[1],
            "Change B − A": [
                words.change(amount(b).since(amount(a)), unit) for amount, unit in told.values()
            ],
        },
        key="costs",
    )
    _explain((a, b))


def _told(rows: Sequence[Spending]) -> dict[str, tuple[Callable[[Spending], Amount], str]]:
    """Title → what it tells of a row, and its unit. Sums of money only where something has a
    price."""
    told: dict[str, tuple[Callable[[Spending], Amount], str]] = {
        "Tokens": (lambda row: row.tokens, "usd"),
        "Machine, hours": (lambda row: row.hours, "hours"),
    }
    if any(row.machine.is_known for row in rows):
        told["Machine"] = (lambda row: row.machine, "usd")
        told["Together"] = (lambda row: row.together, "usd")
    return told


def _explain(rows: Sequence[Spending]) -> None:
    priced = any(row.machine.is_known for row in rows)
    st.caption(MEANING if priced else f"{MEANING} {UNPRICED}")


def _size(row: Spending) -> float:
    """What versions are ordered by: money, or hours where there is none."""
    amount = row.together if row.together.is_known else row.hours
    return amount.estimate().value if amount.is_known else 0.0
