"""Bodies that do not come, and what they leave taken of the budget."""

from __future__ import annotations

import asyncio

import pytest

from ragdiag.http.bodies import read_body
from ragdiag.http.limits import Budget
from ragdiag.http.refusals import Refusal


def test_a_body_that_stops_coming_is_408() -> None:
    async def stuck():  # type: ignore[no-untyped-def]
        yield b"begin"
        await asyncio.sleep(60)

    budget = Budget(1_000)
    with pytest.raises(Refusal) as caught:
        asyncio.run(read_body(stuck(), None, 100, budget, 0.05))
    assert (caught.value.status, budget.taken) == (408, 0)
