"""Bodies that do not come, and what they leave taken of the budget."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from ragdiag.http.bodies import read_body, unpack
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


def test_a_gzip_body_of_a_few_members_is_joined_and_of_many_refused() -> None:
    few = b"".join(map(gzip.compress, (b"one ", b"", b"two")))
    assert unpack(few, "gzip", 100) == b"one two"
    with pytest.raises(Refusal, match="more than 256 members") as caught:
        unpack(gzip.compress(b"") * 100_000, "gzip", 100)
    assert caught.value.status == 400
