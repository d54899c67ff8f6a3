"""What the tests of the second level look at, put together for one diagnosed request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ragdiag.diagnosis.replay import outcomes
from ragdiag.diagnosis.second_level import Scene, agree, gold_overlap
from ragdiag.diagnosis.verdicts import CONTRADICTING, UNSUPPORTED, supports
from ragdiag.diagnosis.waterfall import Loss
from ragdiag.grading.contract import Item
from ragdiag.grading.groundedness import LEXICAL, GroundednessGrader, lexical_support
from ragdiag.metrics.contradictions import find_contradiction
from ragdiag.metrics.ranking import best_judged
from ragdiag.records import Answer, Arm, ContextPassage, Grade, Passage, Replay, Request, Retrieval
from ragdiag.store.corpus import load_judgments
from ragdiag.store.judgments import load_questions
from ragdiag.store.lake import Lake
from ragdiag.version import Spec

FEWEST_FOR_DECILE = 10
"""Questions below which a lowest decile says nothing."""

_GROUNDED = GroundednessGrader("grounded_lexical", lexical_support, LEXICAL)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a diagnosis may use of one question beside its log: less makes a lower tier.

    ``reported`` is whether the user called the answer bad; None where nobody said anything.
    ``withheld`` are gold passages that whoever asked may not see: they count as none.
    """

    gold: tuple[Passage, ...] = ()
    answers: tuple[str, ...] = ()
    may_replay: bool = True
    reported: bool | None = None
    withheld: tuple[Passage, ...] = ()

    @property
    def gold_supported(self) -> bool:
        """Whether the gold passages hold an accepted answer; True where either is not known."""
        texts = [passage.text for passage in self.gold if passage.text]
        return not texts or not self.answers or supports(texts, self.answers)

    @property
    def doubt(self) -> str | None:
        """Why the labels themselves are suspect; None where nothing speaks against them."""
        if find_contradiction(self.answers) is not None:
            return CONTRADICTING
        return None if self.gold_supported else UNSUPPORTED


@dataclass(frozen=True, slots=True)
class Examination:
    """One graded request whose gold was followed, from what is ``known``; ``whole`` is the request
    with the lists that its log cut off, where those could be had, ``context`` what its prompt
    held."""

    request: Request
    whole: Request
    grade: Grade
    loss: Loss
    known: Evidence
    context: tuple[ContextPassage, ...]


def scene_of(
    seen: Examination,
    draws: Sequence[Replay],
    served: Mapping[str, Passage],
    *,
    spec: Spec | None,
    held: frozenset[str],
    rare: float | None,
    deeper: Callable[[], Retrieval] | None,
) -> Scene:
    """``served`` are the passages of the build, ``held`` those that the corpus has."""
    reranker = None if spec is None else spec.reranker
    return Scene(
        request=seen.whole,
        loss=seen.loss,
        arms=outcomes(draws),
        gold=seen.known.gold,
        answers=seen.known.answers,
        texts=served,
        context=seen.context,
        k=len(seen.request.context) if spec is None else spec.context.k,
        rerank_depth=None if reranker is None else reranker.depth,
        on_gold=_answer_to(draws, "g"),
        stronger=_answer_to(draws, "G+"),
        second=_answer_to(draws, "G2"),
        deeper=deeper,
        rare_overlap=rare,
        held=held,
        grounded=is_grounded,
    )


def others_agree(draws: Sequence[Replay]) -> bool:
    """Whether the two other generators were wrong every time they were given gold alone, and said
    the same thing."""
    wrong = all(draw.y == 0 for draw in draws if draw.arm in ("G+", "G2"))
    stronger, second = _answer_to(draws, "G+"), _answer_to(draws, "G2")
    return wrong and stronger is not None and second is not None and agree(stronger, second)


def rare_overlap(lake: Lake, passages: Mapping[str, Passage]) -> float | None:
    """The lowest decile of the overlap of questions with their gold ``passages``; None where there
    are too few to tell."""
    judged = load_judgments(lake)
    overlaps = []
    for question in load_questions(lake):
        gold = best_judged(judged.get(question.question_id, {}))
        texts = [passages[name].text for name in gold if name in passages]
        if texts:
            overlaps.append(gold_overlap(question.text, texts))
    if len(overlaps) < FEWEST_FOR_DECILE:
        return None
    return sorted(overlaps)[(len(overlaps) - 1) // 10]


def is_grounded(answer: str, context: Sequence[ContextPassage]) -> bool | None:
    """Whether the context holds the answer's words; None where nothing was said."""
    if not answer.strip():
        return None
    if not context:
        return False
    (grade,) = _GROUNDED.grade([Item("", "", answer, context=tuple(context))])
    return None if grade.y is None else grade.y == 1


def _answer_to(draws: Sequence[Replay], arm: Arm) -> Answer | None:
    """The first answer under an arm; None where it was not replayed."""
    return next(
        (Answer(draw.answer, status=draw.status) for draw in draws if draw.arm == arm), None
    )
