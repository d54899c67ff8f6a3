"""The week in plain sentences, the worst thing first."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.drift.faults import Growth
from ragdiag.drift.mix import Mix
from ragdiag.drift.weekly import WEEKLY_METRICS, Change
from ragdiag.store.queries import NOT_DIAGNOSED
from ragdiag.ui import terms, words


def headlines(
    changes: Sequence[Change], growth: Growth | None, mix: Mix | None = None
) -> list[str]:
    """What got worse, in order of weight, then what got better; empty where nothing moved.

    ``changes`` come in the order in which they matter; ``growth`` and ``mix`` are told beside the
    answers: no stage is blamed where other questions explain most of the change.
    """
    worse = [change for change in changes if change.movement == "worse"]
    better = [change for change in changes if change.movement == "better"]
    return [_sentence(change, growth, mix) for change in (*worse, *better)]


def nothing_changed(changes: Sequence[Change]) -> str:
    """The sentence for a week in which no interval excludes zero."""
    correct = next((change for change in changes if change.metric == "correct"), None)
    if correct is None or not correct.after.n:
        return "No answer of this week has been graded yet, so there is nothing to compare."
    if not correct.before.n:
        return (
            f"Correct answers: {words.with_interval(correct.after, 'share')}. "
            "There is no earlier week to compare with."
        )
    if correct.movement == "unknown":
        reason = correct.difference.reason or "too few graded answers"
        return f"The two weeks cannot be compared ({reason})."
    return (
        f"Nothing changed beyond chance: {words.number(correct.after.value, 'share')} of answers "
        f"are correct, after {words.number(correct.before.value, 'share')} in the last week with "
        f"traffic ({words.signed(correct.difference.value, 'share')}, 95{words.NBSP}% CI "
        f"{words.bare(correct.difference.low, 'share', plus=True)} to "
        f"{words.bare(correct.difference.high, 'share', plus=True)}, "
        f"n = {correct.after.n:,})."
    )


def nothing_failed(changes: Sequence[Change]) -> str:
    """The sentence for two weeks without a fault."""
    correct = next((change for change in changes if change.metric == "correct"), None)
    if correct is None or not (correct.before.n or correct.after.n):
        return "No answer of these two weeks has been graded, so no fault is known."
    return "No graded answer failed in these two weeks."


def _sentence(change: Change, growth: Growth | None, mix: Mix | None) -> str:
    metric = WEEKLY_METRICS[change.metric]
    verb = "rose" if change.difference.value > 0 else "fell"
    low, high = (
        words.bare(bound, metric.unit, plus=True)
        for bound in (change.difference.low, change.difference.high)
    )
    sentence = (
        f"{metric.label} {verb} from {words.number(change.before.value, metric.unit)} to "
        f"{words.number(change.after.value, metric.unit)} "
        f"({words.signed(change.difference.value, metric.unit)}, 95{words.NBSP}% CI {low} to "
        f"{high}, n = {change.after.n:,})"
    )
    why = []
    if change.metric == "correct" and mix is not None and mix.is_shown:
        why.append(_mixed(mix))
    blamed = change.movement == "worse" and not (mix is not None and mix.is_most)
    if change.metric == "correct" and blamed and growth is not None:
        why.append(_blame(growth))
    return "; ".join([sentence, *why]) + "."


def _mixed(mix: Mix) -> str:
    effect = mix.effect
    low, high = (words.bare(bound, "share", plus=True) for bound in (effect.low, effect.high))
    return (
        f"other questions, not other answers, make {words.signed(effect.value, 'share')} (95"
        f"{words.NBSP}% CI {low} to {high}): {mix.segment} was {words.number(mix.before, 'share')} "
        f"of them and is {words.number(mix.after, 'share')}"
    )


def _blame(growth: Growth) -> str:
    share = "most" if growth.part > 0.5 else "the largest part"
    name = growth.fault.name
    if name == NOT_DIAGNOSED:
        return f"{share} of the new failures have not been diagnosed yet"
    meaning = terms.CAUSES.get(name) or terms.VERDICTS.get(name, "")
    return (
        f"{share} of the new failures are {name} ({meaning}), to be mended by: {terms.mender(name)}"
    )
