"""Which of the refused parts the lake is told of: the first of a minute one by one, then a sum.

A sender that sends nothing else must not fill the disk with what is refused of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ragdiag.collect.tally import list_reasons
from ragdiag.records import Reject

MINUTE_S = 60.0
ONE_BY_ONE = 100
"""Of a minute."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What was refused in the minute that ``ends`` (seconds of the caller's clock), by reason, and
    how many of it were ``told`` one by one. Never changed: what could not be written is not told.
    """

    ends: float = 0.0
    told: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def owes(self) -> bool:
        """Whether some of the minute are in no line yet."""
        return self.refused.total() > self.told

    @property
    def wait_s(self) -> float | None:
        """Seconds after which a line is due even if nothing comes; None where none will be."""
        return MINUTE_S if self.owes else None

    def take(
        self, refused: Counter[str], rejects: Sequence[Reject], now: float
    ) -> tuple[list[Reject], Telling]:
        """The lines that are due now that so many more were ``refused``, of which ``rejects`` are
        known one by one, and what holds once they are written.

        >>> bad = Reject("otlp", 1, "span 7 has no end time")
        >>> lines, after = Telling().take(Counter({"no end time": 3}), [bad], now=100.0)
        >>> [line.reason for line in lines]
        ['span 7 has no end time']
        >>> lines, _ = after.take(Counter(), [], now=160.0)
        >>> [line.reason for line in lines]
        ['3 were refused within a minute, 1 of them told one by one: no end time (3×)']
        """
        lines: list[Reject] = []
        minute = self
        if now >= self.ends:
            lines = self.sum_up()
            minute = Telling(now + MINUTE_S)
        fresh = rejects[: ONE_BY_ONE - minute.told]
        after = Telling(minute.ends, minute.told + len(fresh), minute.refused + refused)
        return [*lines, *fresh], after

    def sum_up(self) -> list[Reject]:
        """The line that says what no other has said; none where all was told one by one."""
        if not self.owes:
            return []
        counted = f"{self.refused.total()} were refused within a minute, {self.told} of them told"
        return [Reject("otlp", 0, f"{counted} one by one: {list_reasons(self.refused)}")]
