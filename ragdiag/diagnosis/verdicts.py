"""From a loss and its interventions to a verdict: the first rule that holds (METHODS.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ragdiag.diagnosis.arms import OTHERS
from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.diagnosis.tiers import (
    NO_SIGNS,
    RETRIEVAL_CAUSES,
    Signs,
    from_gold_answer,
    from_gold_passages,
    from_logged_gold,
    from_signs,
)
from ragdiag.diagnosis.waterfall import Loss, contains
from ragdiag.metrics.answers import normalise_answer
from ragdiag.metrics.refusals import told_status
from ragdiag.records import Arm, Diagnosis, Grade, Request, Status, Tier, Verdict

FIX_ORDER: tuple[Arm, ...] = ("s", "g+", "g", "G+")
SUPPORT_RECALL = 0.5
"""Share of a gold answer's words that the gold passages must hold to count as its support; free
text answers are seldom verbatim."""

CONTRADICTING = "accepted answers contradict each other"
UNSUPPORTED = "no gold passage supports the gold answer"
"""Why labels are in doubt."""

WITHHELD = "its gold passages may not be seen by who asked"

OWNERS: Mapping[Verdict, str] = {
    "corpus": "corpus",
    "label_suspect": "labels",
    "packing": "assembly",
    "retrieval": "retrieval",
    "distraction": "assembly",
    "generator": "generation",
    "undetermined": "review",
}
"""Who mends a failure with this verdict."""


def supports(gold_texts: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether the gold passages hold an accepted answer, verbatim or by half of its words.

    >>> supports(["The default is None."], ["None"])
    True
    >>> supports(["The default is None."], ["a tuple of two integers"])
    False
    """
    if any(contains(text, answer) for text in gold_texts for answer in answers):
        return True
    held = {word for text in gold_texts for word in normalise_answer(text).split()}
    for answer in answers:
        words = normalise_answer(answer).split()
        # One or two words are a span: half of them says nothing.
        if len(words) > 2 and sum(word in held for word in words) / len(words) >= SUPPORT_RECALL:
            return True
    return False


def judge(
    request: Request,
    grade: Grade,
    loss: Loss,
    arms: Mapping[Arm, ArmOutcome],
    *,
    gold_supported: bool,
    contradicting_gold: bool = False,
    others_agree: bool = False,
    signs: Signs = NO_SIGNS,
) -> Diagnosis:
    """The verdict on one graded request, with everything it rests on.

    Where several gold passages are needed and one is missing, cause, ranks and verdict are those of
    the missing one. ``contradicting_gold``: the accepted answers cannot all be right, so that a
    failure goes to a person; ``others_agree``: two other generators, given the gold passages, say
    the same wrong thing. ``arms`` is empty where nothing was replayed (a success, or no gold
    passages): tier B with gold passages and answer, C with the answer alone, D without one
    (tiers.py). A replay of which no answer could be graded is none. The evidence names the arms on
    which the generator failed (``failed_arms``): what they leave undetermined, asking again may
    decide; and those to which it gave different answers (``varied_arms``), which the rule says too.
    """
    failed = [arm for arm, outcome in arms.items() if outcome.failed]
    if not any(outcome.draws for outcome in arms.values()):
        arms = {}
    located = loss
    if grade.y == 0 and gold_supported and not contradicting_gold:
        loss = _blamed(loss, arms)
    verdict, rule = (
        _state_of_success(loss)
        if grade.y == 1
        else _verdict_without_answer(loss, signs, told_status(request.status, request.answer))
        if grade.status == "no_gold"
        else _verdict_on_failure(
            grade, loss, arms, gold_supported, contradicting_gold, others_agree, signs
        )
    )
    if loss is not located:
        rule = f"some gold reached the prompt and does not suffice; of the rest: {rule}"
    if failed and verdict == "undetermined":
        rule = f"the generator failed on {', '.join(failed)}"
    varied = [arm for arm, outcome in arms.items() if outcome.varied]
    if varied:
        drawn = max(outcome.draws for outcome in arms.values())
        rule = f"{rule}; the generator varies on {', '.join(varied)}: {drawn} answers of each"
    return Diagnosis(
        request_id=request.request_id,
        cause=loss.cause,
        verdict=verdict,
        verified_fix=_verified_fix(arms),
        tier=_tier(grade, loss, arms),
        evidence={
            "rule": rule,
            "grader": grade.grader,
            "y": grade.y,
            "score": grade.score,
            "gold_passage": loss.passage_id,
            "ranks": dict(loss.ranks),
            "gold_recall@context": _number(loss.gold_recall_at_context),
            "gold_supported": gold_supported,
            "contradicting_gold": contradicting_gold,
            "signs": asdict(signs),
            "p": {arm: _number(outcome.p) for arm, outcome in arms.items()},
            "level": {arm: outcome.level for arm, outcome in arms.items()},
            "draws": {arm: outcome.draws for arm, outcome in arms.items()},
            "failed_arms": failed,
            "varied_arms": varied,
            "deterministic": all(
                outcome.deterministic for arm, outcome in arms.items() if arm not in OTHERS
            ),
        },
    )


def _blamed(loss: Loss, arms: Mapping[Arm, ArmOutcome]) -> Loss:
    """That of the missing gold, where the gold that reached the prompt does not do, even alone, and
    all of it does: the answer needs what is missing."""
    level = {arm: outcome.level for arm, outcome in arms.items()}
    needs_all = level.get("g-") == "low" and level.get("g") == "high" and level.get("r") == "low"
    return loss.missing if loss.missing is not None and needs_all else loss


def _state_of_success(loss: Loss) -> tuple[Verdict, str]:
    if loss.cause in ("in_context", "gold_unknown", "gold_withheld"):
        return "ok", "the answer is right"
    return "lucky", "the answer is right although no gold passage reached the prompt"


def _verdict_without_answer(loss: Loss, signs: Signs, status: Status) -> tuple[Verdict, str]:
    if loss.cause == "gold_withheld":
        return "undetermined", WITHHELD
    if loss.cause == "gold_unknown":
        return from_signs(signs, status)
    return from_gold_passages(loss.cause, signs, status)


def _verdict_on_failure(
    grade: Grade,
    loss: Loss,
    arms: Mapping[Arm, ArmOutcome],
    gold_supported: bool,
    contradicting_gold: bool,
    others_agree: bool,
    signs: Signs,
) -> tuple[Verdict, str]:
    if grade.y is None:
        return "undetermined", f"the answer could not be graded: {grade.reason or grade.status}"
    if loss.cause == "corpus_gap":
        return from_logged_gold(loss.cause)
    if contradicting_gold:
        return "label_suspect", f"its {CONTRADICTING}"
    if loss.cause == "gold_withheld":
        return "undetermined", WITHHELD
    if loss.cause == "gold_unknown":
        return from_gold_answer(signs.answer_at)
    if not gold_supported:
        return "label_suspect", UNSUPPORTED
    if others_agree:
        return "label_suspect", "given gold alone, two other generators agree on another answer"
    if not arms:
        return from_logged_gold(loss.cause)
    level = {arm: outcome.level for arm, outcome in arms.items()}
    if loss.cause == "packing" and level.get("g+") == "high" and level.get("r") == "low":
        return "packing", "gold was cut on the way into the prompt; put back, the answer is right"
    if level.get("g") == "high" and level.get("r") == "low":
        if loss.cause in RETRIEVAL_CAUSES:
            return "retrieval", "gold did not reach the prompt; given gold, the answer is right"
        if loss.cause == "in_context":
            return "distraction", "gold was in the prompt; alone, it gives the right answer"
    if level.get("g") == "low":
        if level.get("G+") == "low":
            return "label_suspect", "given gold alone, a stronger generator is wrong too"
        if level.get("G+") != "unsure":
            return "generator", "given the gold passages alone, the answer is still wrong"
    return "undetermined", "no intervention decides it"


def _verified_fix(arms: Mapping[Arm, ArmOutcome]) -> str:
    if "r" not in arms or arms["r"].level != "low":
        return ""
    return next((arm for arm in FIX_ORDER if arm in arms and arms[arm].level == "high"), "no_fix")


def _tier(grade: Grade, loss: Loss, arms: Mapping[Arm, ArmOutcome]) -> Tier:
    if "r" in arms:
        return "A"
    if grade.status == "no_gold":
        return "D"
    return "C" if loss.cause == "gold_unknown" else "B"


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else value
