"""Which passage moved the answer: the context with one passage left out at a time (METHODS.md §6).

Δ_i = p(r) − p(r without i), where p(c) = P(Y=1 | context c) as in replay.py: exact for a generator
that repeats itself, else from fresh draws under a Beta(½, ½) posterior. Two passages that say the
same thing hide one another: leaving out either of them changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragdiag.diagnosis.replay import SAMPLED_DRAWS, ArmOutcome
from ragdiag.errors import GenerationError
from ragdiag.generation.generator import Generator
from ragdiag.metrics.answers import normalise_answer, token_f1
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Answer, ContextPassage, ContextTrial, Estimate

POSTERIOR_DRAWS = 20_000
FAILED = "the generator failed without it"
"""The reason of a passage without which no try gave an answer."""

Role = Literal["carried", "misled", "changed", "none", "unsure"]
"""Without the passage the answer turns wrong; turns right; changes and stays as right as it was;
stays the same; cannot be told."""

Try = Callable[[tuple[str, ...], int, Sequence[ContextPassage]], ContextTrial | None]


@dataclass(frozen=True, slots=True)
class PassageInfluence:
    """One passage, at its ``rank`` (from 1) in the prompt. ``answer_f1`` is the mean token F1 of
    the answers without it against those with it, NaN where no text is known."""

    passage_id: str
    rank: int
    delta: Estimate
    answer_f1: float
    role: Role
    cited: bool

    @property
    def moved(self) -> bool | None:
        """Whether the answer depends on it; None where that cannot be told."""
        return None if self.role == "unsure" else self.role != "none"

    def to_json(self) -> dict[str, Any]:
        return {
            "passage_id": self.passage_id,
            "rank": self.rank,
            "influence": self.delta.to_json(),
            "answer_f1": None if math.isnan(self.answer_f1) else self.answer_f1,
            "role": self.role,
            "cited": self.cited,
        }


def trial_of(
    request_id: str,
    setting: str,
    question: str,
    generator: Generator,
    grade: Callable[[Answer], int | None],
) -> Try:
    """A function that answers ``question`` under a context and grades it; None for no answer."""

    def attempt(
        removed: tuple[str, ...], draw: int, context: Sequence[ContextPassage]
    ) -> ContextTrial | None:
        try:
            said = generator.answer(question, context)
        except GenerationError:  # not kept, so that the next run asks again
            return None
        return ContextTrial(
            request_id, setting, removed, draw, said.text, said.citations, grade(said)
        )

    return attempt


def leave_one_out(
    context: Sequence[ContextPassage],
    attempt: Try,
    *,
    k: int | None = None,
    known: Collection[ContextTrial] = (),
) -> Iterator[ContextTrial]:
    """Try the whole context twice, then without each of its first ``k`` passages (None: all).

    One try each where the whole context gave the same answer twice, else SAMPLED_DRAWS. What is
    ``known`` is not tried again; every new trial is yielded as soon as it is made.
    """
    done = {(trial.removed, trial.draw): trial for trial in known}

    def once(removed: tuple[str, ...], draw: int) -> Iterator[ContextTrial]:
        if (removed, draw) not in done:
            kept = [passage for passage in context if passage.passage_id not in removed]
            trial = attempt(removed, draw, kept)
            if trial is not None:
                done[removed, draw] = trial
                yield trial

    yield from once((), 0)
    yield from once((), 1)
    draws = 1 if is_deterministic(list(done.values())) else SAMPLED_DRAWS
    parts = [(name,) for name in passage_ids(context)[:k]]
    for draw in range(draws):
        for removed in ((), *parts) if draws > 1 else parts:
            yield from once(removed, draw)


def answers_needed(passages: int, known: int = 0) -> tuple[int, int]:
    """Fewest and most answers that :func:`leave_one_out` asks for: a generator that repeats itself,
    and one that does not.

    >>> answers_needed(5), answers_needed(5, known=2)
    ((7, 18), (5, 16))
    """
    fewest, most = 2 + passages, SAMPLED_DRAWS * (1 + passages)
    return max(fewest - known, 0), max(most - known, 0)


def passage_ids(context: Sequence[ContextPassage]) -> list[str]:
    """Each passage once, in the prompt's order."""
    return list(dict.fromkeys(passage.passage_id for passage in context))


def is_deterministic(trials: Collection[ContextTrial]) -> bool:
    """Whether the whole context was answered twice, and the same."""
    answers = [trial.answer for trial in trials if not trial.removed]
    return len(answers) == 2 and answers[0] == answers[1]


def influences(
    context: Sequence[ContextPassage],
    trials: Collection[ContextTrial],
    cited: Collection[str],
    *,
    k: int | None = None,
) -> list[PassageInfluence]:
    """Each of the first ``k`` passages of ``context`` (None: all), in the prompt's order; none
    where nothing was answered at all."""
    if not trials:
        return []
    exact = is_deterministic(trials)
    whole = [trial for trial in trials if not trial.removed]
    found = []
    for rank, name in enumerate(passage_ids(context)[:k], start=1):
        without = [trial for trial in trials if trial.removed == (name,)]
        delta, role = _effect(whole, without, exact)
        f1 = _answer_f1(whole, without)
        found.append(PassageInfluence(name, rank, delta, f1, role, name in cited))
    return found


def _effect(
    whole: Sequence[ContextTrial], without: Sequence[ContextTrial], exact: bool
) -> tuple[Estimate, Role]:
    if not without:
        return Estimate.undefined(FAILED), "unsure"
    before, after = _outcome(whole, exact), _outcome(without, exact)
    delta = _difference(before, after)
    if (before.level, after.level) == ("high", "low"):
        return delta, "carried"
    if (before.level, after.level) == ("low", "high"):
        return delta, "misled"
    said = {normalise_answer(trial.answer) for trial in whole}
    same = all(normalise_answer(trial.answer) in said for trial in without)
    if exact and whole:
        return delta, "none" if same else "changed"
    # A generator that does not repeat itself says something new without any passage's help.
    return delta, "none" if same and whole else "unsure"


def _outcome(trials: Sequence[ContextTrial], exact: bool) -> ArmOutcome:
    graded = [trial.y for trial in trials if trial.y is not None]
    return ArmOutcome(sum(graded), len(graded), deterministic=exact)


def _difference(before: ArmOutcome, after: ArmOutcome) -> Estimate:
    """p(before) − p(after) with its central 95 % posterior interval."""
    if not before.draws or not after.draws:
        return Estimate.undefined("no gold answer says what is right")
    value = before.p - after.p
    if before.deterministic:
        return Estimate(value, value, value, after.draws)
    import numpy as np

    generator = np.random.default_rng(0)
    drawn = [
        generator.beta(one.successes + 0.5, one.draws - one.successes + 0.5, POSTERIOR_DRAWS)
        for one in (before, after)
    ]
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975]).tolist()
    return Estimate(value, low, high, after.draws)


def _answer_f1(whole: Sequence[ContextTrial], without: Sequence[ContextTrial]) -> float:
    said = [trial.answer for trial in whole if not is_hidden(trial.answer)]
    values = [
        token_f1(trial.answer, [answer])
        for trial in without
        if not is_hidden(trial.answer)
        for answer in said
    ]
    return math.fsum(values) / len(values) if values else math.nan
