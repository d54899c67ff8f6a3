"""Answer a request again under chosen contexts: the intervention behind a verdict.

Arms (METHODS.md §4): ``r`` the logged context, ``g`` the gold passages alone, ``g+`` the gold put
in front of the logged context, ``none`` no context at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ragdiag.errors import GenerationError
from ragdiag.records import Answer, Arm, ContextPassage, Grade, Passage, Replay, Request

ARMS: tuple[Arm, ...] = ("r", "g", "g+", "none")
SAMPLED_DRAWS = 3
SURE = 0.9
"""Posterior probability from which p(c) counts as high or low."""

Level = Literal["high", "low", "unsure"]
Grader = Callable[[Answer], Grade]


class Generator(Protocol):
    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """How often one arm was answered right: ``successes`` of ``draws`` graded answers."""

    successes: int
    draws: int
    deterministic: bool

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


def arm_contexts(
    logged: Sequence[ContextPassage], gold: Sequence[Passage]
) -> dict[Arm, tuple[ContextPassage, ...]]:
    """The context of every arm. Gold is given whole and first; what was logged keeps its order."""
    given = tuple(ContextPassage(p.passage_id, p.text, p.title) for p in gold)
    known = {passage.passage_id for passage in given}
    kept = tuple(passage for passage in logged if passage.passage_id not in known)
    return {"r": tuple(logged), "g": given, "g+": given + kept, "none": ()}


def replay(
    request: Request,
    contexts: Mapping[Arm, Sequence[ContextPassage]],
    generator: Generator,
    grade: Grader,
) -> list[Replay]:
    """Answer every arm; once where the generator repeats itself on ``r``, else three times.

    An arm whose generation failed has a draw with ``y`` None, and its outcome is unsure.
    """
    draws = [_draw(request, arm, 0, contexts[arm], generator, grade) for arm in contexts]
    again = _draw(request, "r", 1, contexts["r"], generator, grade)
    first = next(draw for draw in draws if draw.arm == "r")
    draws.append(again)
    if first.y is not None and first.answer == again.answer:
        return draws
    for number in range(1, SAMPLED_DRAWS):
        for arm in contexts:
            if (arm, number) != ("r", 1):
                draws.append(_draw(request, arm, number, contexts[arm], generator, grade))
    return draws


def outcomes(draws: Sequence[Replay]) -> dict[Arm, ArmOutcome]:
    """Tally the draws of one request by arm."""
    by_arm: dict[Arm, list[Replay]] = {}
    for draw in draws:
        by_arm.setdefault(draw.arm, []).append(draw)
    logged = by_arm.get("r", [])
    deterministic = len(logged) == 2 and len({draw.answer for draw in logged}) == 1
    return {
        arm: ArmOutcome(
            successes=sum(draw.y == 1 for draw in same),
            draws=sum(draw.y is not None for draw in same),
            deterministic=deterministic,
        )
        for arm, same in by_arm.items()
    }


def _draw(
    request: Request,
    arm: Arm,
    number: int,
    context: Sequence[ContextPassage],
    generator: Generator,
    grade: Grader,
) -> Replay:
    try:
        answer = generator.answer(request.question, context)
    except GenerationError as error:
        answer = Answer(text="", status="error", error=str(error))
    graded = grade(answer)
    known = answer.status != "error"
    return Replay(
        request_id=request.request_id,
        arm=arm,
        draw=number,
        answer=answer.text,
        y=graded.y if known else None,
        score=graded.score if known else None,
        passage_ids=tuple(passage.passage_id for passage in context),
    )
