"""Answer a request again under chosen contexts: the intervention behind a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from ragdiag.diagnosis.arms import SECOND, STRONGER, Contexts, draw_key
from ragdiag.diagnosis.budget import Budget, Price, prompt_tokens
from ragdiag.errors import GenerationError
from ragdiag.generation.generator import Generator
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Answer, Arm, ContextPassage, Grade, Replay, Request

SAMPLED_DRAWS = 3
ASKED_TWICE: frozenset[Arm] = frozenset({"r", "g", "g+", "g-", "G+", "G+r", "G2"})
"""Arms that a verdict or the headroom rests on: a generator that varies shows it there."""
SURE = 0.9
"""Posterior probability from which p(c) counts as high or low."""

Level = Literal["high", "low", "unsure"]
Grader = Callable[[Answer], Grade]
Slot = tuple[Arm, int]


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """How often one arm was answered right: ``successes`` of ``draws`` graded answers; ``failed``
    where the generator failed on a draw, so that they are not all there are to be; ``varied`` where
    it gave this very context different answers."""

    successes: int
    draws: int
    deterministic: bool
    failed: bool = False
    varied: bool = False

    @property
    def p(self) -> float:
        """P(Y=1 | context): exact for a deterministic generator, else the posterior mean."""
        if self.draws == 0:
            return float("nan")
        if self.deterministic:
            return float(self.successes > 0)
        return (self.successes + 0.5) / (self.draws + 1)

    @property
    def level(self) -> Level:
        """``high`` where P(p > ½) ≥ .9, ``low`` where P(p < ½) ≥ .9, under Beta(½, ½)."""
        if self.draws == 0:
            return "unsure"
        if self.deterministic:
            return "high" if self.successes else "low"
        from scipy.special import betainc

        below = float(betainc(self.successes + 0.5, self.draws - self.successes + 0.5, 0.5))
        return "low" if below >= SURE else "high" if 1 - below >= SURE else "unsure"


@dataclass(frozen=True, slots=True)
class Replayed:
    """The draws of one request; not ``complete`` where the budget ended before all were had."""

    draws: tuple[Replay, ...] = ()
    complete: bool = True


class Replayer:
    """One generator that is asked again, and what it has said before.

    ``identity`` is all that decides its answers, ``kept`` draws by their ``draw_key``; what is in
    there is not asked for. Up to ``concurrency`` questions are under way.
    """

    def __init__(
        self,
        generator: Callable[[], Generator],
        identity: str,
        *,
        kept: Mapping[str, Replay] | None = None,
        budget: Budget | None = None,
        price: Price | None = None,
        draws: int = SAMPLED_DRAWS,
        concurrency: int = 1,
    ) -> None:
        """``generator`` loads it, and is called when the first answer is not known yet."""
        self._generator, self._identity = generator, identity
        self._kept = dict(kept or {})
        self._answers: dict[str, Answer] = {}
        self._budget, self._price = budget or Budget(), price
        self._draws, self._concurrency = draws, concurrency

    def replay(self, request: Request, contexts: Contexts, grade: Grader) -> Replayed:
        """Answer every arm once, and those of ASKED_TWICE (else the first) twice; where one of them
        got two answers, every arm as many times as the generator draws.

        An arm whose generation failed has a draw with ``y`` None, and its outcome is unsure.
        """
        first = _first_slots(contexts)
        found = self._round(request, contexts, first, grade)
        if not found.complete or _repeats(found.draws):
            return found
        slots = [(arm, number) for number in range(1, self._draws) for arm in contexts]
        rest = [slot for slot in slots if slot not in first]
        more = self._round(request, contexts, rest, grade)
        return Replayed((*found.draws, *more.draws), more.complete)

    def unknown(
        self, request: Request, contexts: Contexts
    ) -> tuple[dict[str, tuple[ContextPassage, ...]], dict[str, tuple[ContextPassage, ...]]]:
        """The contexts that a replay must ask about, by key: the fewest, if the generator repeats
        itself, and the most."""
        fewest = _first_slots(contexts)
        most: list[Slot] = [(arm, number) for arm in contexts for number in range(self._draws)]
        few, many = (
            {
                key: contexts[arm]
                for arm, number in slots
                if not self._knows(key := self._key(request, contexts[arm], number))
            }
            for slots in (fewest, most)
        )
        return few, many

    def _round(
        self, request: Request, contexts: Contexts, slots: Sequence[Slot], grade: Grader
    ) -> Replayed:
        """What ``slots`` (arm, number) ask for; equal contexts are asked about once."""
        keys = {slot: self._key(request, contexts[slot[0]], slot[1]) for slot in slots}
        waiting = {key: contexts[arm] for (arm, _), key in keys.items() if not self._knows(key)}
        self._ask_all(request.question, waiting)
        draws = tuple(
            self._draw(request, slot, contexts[slot[0]], key, grade)
            for slot, key in keys.items()
            if self._knows(key)
        )
        return Replayed(draws, len(draws) == len(slots))

    def _ask_all(self, question: str, waiting: Mapping[str, tuple[ContextPassage, ...]]) -> None:
        if not waiting:
            return
        generator = self._generator()

        def ask(key: str) -> None:
            if (answer := self._ask(generator, question, waiting[key])) is not None:
                self._answers[key] = answer

        if self._concurrency == 1 or len(waiting) == 1:
            for key in waiting:
                ask(key)
            return
        with ThreadPoolExecutor(self._concurrency, "replay") as pool:
            list(pool.map(ask, waiting))

    def _ask(
        self, generator: Generator, question: str, context: tuple[ContextPassage, ...]
    ) -> Answer | None:
        """None where the budget does not allow it."""
        price = self._price
        most = 0.0 if price is None else price.most_usd(prompt_tokens(question, context))
        if not self._budget.take(most):
            return None
        cost = None
        try:
            answer = generator.answer(question, context)
            cost = answer.cost_usd
        except GenerationError as error:
            answer = Answer(text="", status="error", error=str(error))
        finally:
            self._budget.settle(most, cost)
        return answer

    def _draw(
        self,
        request: Request,
        slot: Slot,
        context: tuple[ContextPassage, ...],
        key: str,
        grade: Grader,
    ) -> Replay:
        kept = self._kept.get(key)
        answer = self._answers.get(key) or Answer(kept.answer, status=kept.status)  # type: ignore[union-attr]
        if kept is not None and is_hidden(answer.text):
            y, score = kept.y, kept.score  # its text is gone: what was graded then holds
        elif answer.status == "error":
            y, score = None, None
        else:
            graded = grade(answer)
            y, score = graded.y, graded.score
        return Replay(
            request_id=request.request_id,
            arm=slot[0],
            draw=slot[1],
            answer=answer.text,
            y=y,
            score=score,
            passage_ids=tuple(passage.passage_id for passage in context),
            status=answer.status,
            draw_key=key,
        )

    def _knows(self, key: str) -> bool:
        return key in self._answers or key in self._kept

    def _key(self, request: Request, context: Sequence[ContextPassage], number: int) -> str:
        return draw_key(self._identity, request.question, context, number)


def outcomes(draws: Sequence[Replay]) -> dict[Arm, ArmOutcome]:
    """Tally the draws of one request by arm.

    A generator repeats itself where some arm has two answers of it, and none has two that differ.
    """
    by_arm: dict[Arm, list[Replay]] = {}
    for draw in draws:
        by_arm.setdefault(draw.arm, []).append(draw)
    by_generator: dict[int, list[Replay]] = {}
    for draw in draws:
        by_generator.setdefault(_generator_of(draw.arm), []).append(draw)
    repeats = {generator: _repeats(own) for generator, own in by_generator.items()}
    return {
        arm: ArmOutcome(
            successes=sum(draw.y == 1 for draw in same),
            draws=sum(draw.y is not None for draw in same),
            deterministic=repeats[_generator_of(arm)],
            failed=any(draw.status == "error" for draw in same),
            varied=len(_distinct(same)) > 1,
        )
        for arm, same in by_arm.items()
    }


def _generator_of(arm: Arm) -> int:
    """0 the version's own, 1 the stronger one, 2 the second other one."""
    return 1 if arm in STRONGER else 2 if arm in SECOND else 0


def _first_slots(contexts: Contexts) -> list[Slot]:
    again = [arm for arm in contexts if arm in ASKED_TWICE] or [next(iter(contexts))]
    return [*((arm, 0) for arm in contexts), *((arm, 1) for arm in again)]


def _repeats(draws: Sequence[Replay]) -> bool:
    """Of one generator's draws; a failed one tells nothing."""
    by_arm: dict[Arm, list[Replay]] = {}
    for draw in draws:
        if draw.status != "error":
            by_arm.setdefault(draw.arm, []).append(draw)
    again = [same for same in by_arm.values() if len(same) > 1]
    return bool(again) and all(len(_distinct(same)) == 1 for same in again)


def _distinct(draws: Sequence[Replay]) -> set[tuple[str, int | None, float | None]]:
    """Answers that are not stored are told apart by their grades."""
    return {(draw.answer, draw.y, draw.score) for draw in draws if draw.status != "error"}
