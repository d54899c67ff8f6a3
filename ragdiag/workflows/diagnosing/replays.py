"""A version's generator, and the others that are configured, asked again within a budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from ragdiag.configuration import read_configuration
from ragdiag.diagnosis.arms import SECOND, STRONGER, Contexts
from ragdiag.diagnosis.budget import Budget, Price, prompt_tokens
from ragdiag.diagnosis.replay import Grader, Replayed, Replayer
from ragdiag.errors import InputError
from ragdiag.generation.generator import Generator, load_generator
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.generator_spec import GeneratorSpec, OpenAISpec
from ragdiag.identifiers import time_ordered_id
from ragdiag.records import Arm, Replay, Request
from ragdiag.settings import Workspace
from ragdiag.store.findings import load_draws
from ragdiag.store.lake import Lake
from ragdiag.version import Spec

Job = tuple[Request, Contexts]
"""What to replay: a request and its arms."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one run may ask and spend; None: as much as it takes. ``concurrency`` questions
    are under way to a server, None: as configured."""

    max_calls: int | None = None
    max_cost_usd: float | None = None
    concurrency: int | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What replaying would ask: the fewest ``calls``, if generators repeat themselves, and the
    ``most_calls``. ``cost_usd`` is what those at most cost; None where a server's prices are not
    known, 0 where all answers are made here."""

    requests: int
    calls: int
    most_calls: int
    prompt_tokens: int
    cost_usd: float | None

    def to_json(self) -> dict[str, Any]:
        return {"dry_run": True, **asdict(self)}

    @property
    def price_text(self) -> str:
        if self.cost_usd is None:
            return "unknown cost (the generator's spec names no prices)"
        return f"at most about {self.cost_usd:.2f} US$"

    def to_text(self) -> str:
        return (
            f"{self.requests} requests to replay: {self.calls} calls, {self.most_calls} if the "
            f"generator does not repeat itself; up to about {self.prompt_tokens:,} prompt tokens; "
            f"{self.price_text}"
        )


NOTHING_TO_ASK = ReplayPlan(0, 0, 0, 0, 0.0)


class Replays:
    """What was asked before of these ``questions`` is taken from the lake's replays."""

    def __init__(
        self,
        lake: Lake,
        workspace: Workspace,
        spec: Spec,
        questions: Iterable[str],
        limits: Limits = NO_LIMITS,
    ) -> None:
        """Raises InputError where a cost limit is set and a server's prices are not known."""
        table = read_configuration(workspace).replay
        own, more = spec.generator, [one for one in (table.stronger, table.second) if one]
        self._specs = [own, *more]
        known_as = [one.model_dump_json() for one in (spec.as_written.generator, *more)]
        self.prices = [Price.of(one) for one in self._specs]
        self.budget = Budget(limits.max_calls, limits.max_cost_usd)
        if limits.max_cost_usd is not None and self._has_unknown_price():
            raise InputError(
                "the cost of a call is not known, so it cannot be limited",
                remedy="set prompt_price and completion_price in [generator], or use --max-calls",
            )
        kept = load_draws(lake, list(questions))
        self.draws = table.draws
        self._concurrency = limits.concurrency or table.concurrency
        self._replayers = [
            self._replayer(one, _loaded_once(one), identity, kept)
            for one, identity in zip(self._specs, known_as, strict=True)
        ]

    def over(self, generator: Generator) -> Replays:
        """The same with this generator in place of the version's, as one with a known fault. No
        draw that the lake keeps is taken for its answers, and none of its own can be taken for
        the version's: their keys are of no other use."""
        other = copy.copy(self)
        identity = f"not a version's generator: {time_ordered_id()}"
        replayer = self._replayer(self._specs[0], lambda: generator, identity, {})
        other._replayers = [replayer, *self._replayers[1:]]
        return other

    @property
    def is_priced(self) -> bool:
        return any(price is not None for price in self.prices)

    @property
    def others(self) -> Sequence[Mapping[Arm, Arm]]:
        """The arms of each other generator that is configured, with the arm whose context each is
        given."""
        return (STRONGER, SECOND)[: len(self._specs) - 1]

    def most_usd(self, prompt_tokens: Sequence[int], calls: Sequence[int]) -> float | None:
        """The most that so many calls of each generator cost; None where a server's prices are not
        known."""
        if self._has_unknown_price():
            return None
        asked = zip(self.prices, prompt_tokens, calls, strict=False)
        return sum(0.0 if price is None else price.most_usd(n, of) for price, n, of in asked)

    def replay(self, job: Job, grade: Grader) -> Replayed:
        """Every arm's draws. Raises GeneratorDown."""
        found = [
            replayer.replay(job[0], contexts, grade)
            for replayer, contexts in zip(self._replayers, self._split(job[1]), strict=False)
            if contexts
        ]
        draws = tuple(draw for one in found for draw in one.draws)
        return Replayed(draws, all(one.complete for one in found))

    def plan(self, jobs: Iterable[Job]) -> ReplayPlan:
        """What ``replay`` of all of them would ask; asks nothing."""
        requests = 0
        few: list[set[str]] = [set() for _ in self._specs]
        many: list[dict[str, int]] = [{} for _ in self._specs]
        for request, contexts in jobs:
            requests += 1
            for n, (replayer, own) in enumerate(
                zip(self._replayers, self._split(contexts), strict=False)
            ):
                if not own:
                    continue
                fewest, most = replayer.unknown(request, own)
                few[n] |= fewest.keys()
                many[n] |= {k: prompt_tokens(request.question, c) for k, c in most.items()}
        tokens, calls = [sum(asked.values()) for asked in many], [len(asked) for asked in many]
        return ReplayPlan(
            requests=requests,
            calls=sum(map(len, few)),
            most_calls=sum(calls),
            prompt_tokens=sum(tokens),
            cost_usd=self.most_usd(tokens, calls),
        )

    def _split(self, contexts: Contexts) -> list[Contexts]:
        """The arms of each generator; of the others only where the first has ``g`` and ``r``."""
        both = {"r", "g"} <= contexts.keys()
        others: list[Contexts] = [
            {arm: contexts[same] for arm, same in arms.items() if both} for arms in self.others
        ]
        return [contexts, *others]

    def _has_unknown_price(self) -> bool:
        pairs = zip(self._specs, self.prices, strict=True)
        return any(isinstance(one, OpenAISpec) and price is None for one, price in pairs)

    def _replayer(
        self,
        spec: GeneratorSpec,
        load: Callable[[], Generator],
        identity: str,
        kept: dict[str, Replay],
    ) -> Replayer:
        return Replayer(
            load,
            identity,
            kept=kept,
            budget=self.budget,
            price=Price.of(spec),
            draws=self.draws,
            concurrency=self._concurrency if isinstance(spec, OpenAISpec) else 1,
        )


def _loaded_once(spec: GeneratorSpec) -> Callable[[], Generator]:
    @cache
    def load() -> Generator:
        return SteadfastGenerator(load_generator(spec))

    return load
