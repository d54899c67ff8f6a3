"""Which requests of a busy service are logged, and with what chance.

A request is drawn by a hash of its id, so every process and every retry decides alike. What the
rules name is kept whatever the draw says. The chance depends on what a request is, never on the
draw: 1 where a rule holds, else ``rate``. So the mean of x over all traffic is
Σ x/p ÷ Σ 1/p over what was logged (Hájek 1971), and a plain mean over sampled logs is biased
towards errors, slow requests and bad answers.

A thumbs-down may come when its request has been decided on. Of those passed over the last
``remember`` can still be kept; of those drawn the ones that could have been are certain too, and
their feedback says so. One may also come before its request ends, while an answer is streamed: it
is remembered until then. What is beyond that memory is a plain sample, and needs no more than p.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass, replace

from ragdiag.errors import InputError
from ragdiag.records import Request


@dataclass(frozen=True, slots=True)
class Sampling:
    """``rate`` of all requests are kept; errors, requests of at least ``slow_ms`` and those with a
    thumbs-down always, where the switch says so. ``remember`` is how many requests that were not
    kept can still be, when their thumbs-down comes later.

    Raises InputError for a rate outside [0, 1], a negative threshold or memory.
    """

    rate: float = 1.0
    slow_ms: float | None = None
    keep_errors: bool = True
    keep_thumbs_down: bool = True
    remember: int = 1_000

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate <= 1.0:
            raise InputError(f"the sampling rate is {self.rate}", remedy="choose one in [0, 1]")
        if (self.slow_ms is not None and not self.slow_ms >= 0) or self.remember < 0:
            raise InputError(
                "slow_ms or remember is negative", remedy="choose 0 or more, or leave it out"
            )


MOST_KEPT = 10
"""Requests that were drawn, and those that a rule kept, are remembered up to so many times
``remember``: where that is too few nearly all are kept, and weigh next to nothing more than 1."""


class Sampler:
    """Decides request by request; for one thread."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._passed_over: OrderedDict[str, tuple[int, Request]] = OrderedDict()
        self._drawn: OrderedDict[str, int] = OrderedDict()
        self._by_rule: OrderedDict[str, None] = OrderedDict()
        self._early: OrderedDict[str, int] = OrderedDict()
        self._passes = 0

    def expect(self, request_id: str) -> None:
        """Remember a thumbs-down on a request that is not known (yet), for a while."""
        rules = self._sampling
        if rules.keep_thumbs_down and rules.rate < 1.0:
            self._early[request_id] = self._early.pop(request_id, 0) + 1
            if len(self._early) > rules.remember:
                self._early.popitem(last=False)

    def take_early(self, request_id: str) -> int:
        """How many thumbs-downs came before their request, which has come now."""
        return self._early.pop(request_id, 0)

    def choose(self, request: Request, *, thumbs_down: bool) -> Request | None:
        """``request`` with the chance that it had, or None: then it is remembered for a while."""
        rules = self._sampling
        always = (
            (rules.keep_errors and request.status == "error")
            or (rules.keep_thumbs_down and thumbs_down)
            or request.latency_ms.get("total", 0.0) >= _or_infinity(rules.slow_ms)
        )
        if rules.rate == 1.0:
            return request
        noted = rules.keep_thumbs_down and rules.remember > 0
        if always:
            if noted:
                self._note_kept(request.request_id)
            return request
        drawn = is_drawn(request.request_id, rules.rate)
        if noted:
            self._note(request, drawn)
        return replace(request, keep_probability=rules.rate) if drawn else None

    def recall(self, request_id: str) -> Request | None:
        """The remembered request that a thumbs-down has just been given to; it is kept now."""
        _, request = self._passed_over.pop(request_id, (0, None))
        if request is not None:
            self._note_kept(request_id)
        return request

    def is_certain(self, request_id: str) -> bool:
        """Whether a request that was drawn would be recalled now if it had been passed over."""
        noted = self._drawn.get(request_id)
        return noted is not None and self._passes - noted < self._sampling.remember

    def _note(self, request: Request, drawn: bool) -> None:
        """Remember what was decided until ``remember`` later requests have been passed over."""
        remember = self._sampling.remember
        if drawn:
            self._drawn.pop(request.request_id, None)  # an id given twice counts as the later one
            self._drawn[request.request_id] = self._passes
            if len(self._drawn) > MOST_KEPT * remember:
                self._drawn.popitem(last=False)
            return
        self._passes += 1
        self._passed_over.pop(request.request_id, None)
        self._passed_over[request.request_id] = (self._passes, request)
        oldest, (number, _) = next(iter(self._passed_over.items()))
        if self._passes - number >= remember:
            del self._passed_over[oldest]

    def _note_kept(self, request_id: str) -> None:
        """A rule kept it with chance 1: a thumbs-down that comes later finds it in the log."""
        self._by_rule.pop(request_id, None)
        self._by_rule[request_id] = None
        if len(self._by_rule) > MOST_KEPT * self._sampling.remember:
            self._by_rule.popitem(last=False)

    def may_be_missing(self, request_id: str) -> bool:
        """Whether a request that is not remembered may have been passed over."""
        rules = self._sampling
        kept = request_id in self._by_rule or is_drawn(request_id, rules.rate)
        return rules.keep_thumbs_down and not kept


def is_drawn(request_id: str, rate: float) -> bool:
    """Whether a request is within ``rate``, by its id alone.

    >>> [is_drawn("r4", rate) for rate in (0.0, 0.5, 1.0)]
    [False, True, True]
    """
    digest = hashlib.blake2b(request_id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) < rate * 2.0**64


def _or_infinity(value: float | None) -> float:
    return math.inf if value is None else value
