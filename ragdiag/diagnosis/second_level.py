"""What splits a cause where the lever differs (METHODS.md §4b): each label has its test, and what
no test decides stays at the first level."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.diagnosis.waterfall import Loss, contains
from ragdiag.metrics.answers import grade_answer, normalise_answer
from ragdiag.metrics.numbers import numeric_match, read_quantities
from ragdiag.metrics.refusals import told_status
from ragdiag.records import (
    Answer,
    Arm,
    ContextPassage,
    Diagnosis,
    Hit,
    Passage,
    Request,
    Retrieval,
    SecondLevel,
)

SAME_WORDS = 0.9
"""Jaccard similarity of two passages' words from which they say the same."""

_FACTS = re.compile(r"[;\n]+|(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Scene:
    """All that the tests may look at of one diagnosed request.

    ``context`` is what the prompt held; ``on_gold`` and ``stronger`` the answers to the gold
    passages alone of the version's generator and of the stronger one, ``second`` that of the second
    other one; ``k`` passages go to packing, the reranker reads ``rerank_depth`` (None: there is
    none). ``deeper`` retrieves ten times as many candidates, None where that cannot be had;
    ``grounded`` says whether a context supports an answer, None where it cannot tell.
    ``rare_overlap`` is the lowest decile of
    :func:`gold_overlap`, ``held`` are the gold passages that the corpus has.
    """

    request: Request
    loss: Loss
    arms: Mapping[Arm, ArmOutcome]
    gold: Sequence[Passage]
    answers: Sequence[str]
    texts: Mapping[str, Passage]
    context: Sequence[ContextPassage]
    k: int
    rerank_depth: int | None = None
    on_gold: Answer | None = None
    stronger: Answer | None = None
    second: Answer | None = None
    deeper: Callable[[], Retrieval] | None = None
    rare_overlap: float | None = None
    held: frozenset[str] = frozenset()
    grounded: Callable[[str, Sequence[ContextPassage]], bool | None] = lambda answer, context: None

    @property
    def gold_ids(self) -> frozenset[str]:
        return frozenset(passage.passage_id for passage in self.gold)

    def is_high(self, arm: Arm) -> bool:
        return arm in self.arms and self.arms[arm].level == "high"


def split_cause(found: Diagnosis, scene: Scene) -> Diagnosis:
    """``found`` with its second level; as it is where no test decides one."""
    if found.cause != scene.loss.cause:  # that of the gold that is missing beside some that is not
        return replace(found, second_level=_of_missing(found, scene))
    test = _BY_VERDICT.get(found.verdict)
    if test is None and found.verdict in ("retrieval", "undetermined"):
        test = _BY_CAUSE.get(found.cause)
    return found if test is None else replace(found, second_level=test(scene))


def _of_missing(found: Diagnosis, scene: Scene) -> SecondLevel | None:
    if found.verdict == "corpus":
        return "stale" if found.evidence.get("gold_passage") in scene.held else "missing"
    return "partial" if found.verdict == "retrieval" else None


def agree(one: Answer, other: Answer) -> bool:
    """Whether two answers say the same thing: either is right by the default rule if the other is
    the gold answer. Who declines agrees with nobody.

    >>> agree(Answer("It was 1889."), Answer("1889")), agree(Answer("1889"), Answer("1899"))
    (True, False)
    """
    said = (one, other)
    if any(told_status(a.status, a.text) != "ok" or not normalise_answer(a.text) for a in said):
        return False
    return any(grade_answer("", a.text, "ok", [b.text]).y == 1 for a, b in (said, said[::-1]))


def gold_overlap(question: str, texts: Sequence[str]) -> float:
    """The highest share of the question's words (of more than three letters) that one text holds;
    1 for a question without any.

    >>> gold_overlap("How long do cats sleep?", ["Cats rest.", "Dogs bark."])
    0.3333333333333333
    """
    asked = {word for word in normalise_answer(question).split() if len(word) > 3}
    if not asked:
        return 1.0
    held = [len(asked & set(normalise_answer(text).split())) / len(asked) for text in texts]
    return max(held, default=0.0)


def _recall_miss(scene: Scene) -> SecondLevel | None:
    if _spans_two_passages(scene):
        return "split_passage"
    again = None if scene.deeper is None else scene.deeper()
    if again is None or again.lexical is None or again.dense is None:
        return None
    found = [_holds(path, scene.gold_ids) for path in (again.lexical, again.dense)]
    if any(found):
        return None if all(found) else "one_path_blind"
    overlap = gold_overlap(scene.request.question, [passage.text for passage in scene.gold])
    is_rare = scene.rare_overlap is not None and overlap <= scene.rare_overlap
    return "vocabulary" if is_rare else None


def _fusion_loss(scene: Scene) -> SecondLevel | None:
    paths = (scene.request.lexical or (), scene.request.dense or ())
    return "outvoted" if any(_holds(path[: scene.k], scene.gold_ids) for path in paths) else None


def _rerank_loss(scene: Scene) -> SecondLevel | None:
    ranks = scene.loss.ranks
    fused, reranked = ranks.get("fused"), ranks.get("reranked")
    # That the gold arrives once copies are collapsed is shown, whatever the reranker did.
    if _is_crowded(scene, reranked or fused):
        return "crowded"
    if scene.rerank_depth is None or fused is None:
        return None
    if fused > scene.rerank_depth:
        return "not_offered"
    if reranked is None:
        return None
    return "demoted" if reranked > fused else "not_lifted"


def _distraction(scene: Scene) -> SecondLevel | None:
    if scene.is_high("r-m"):
        return "noise"
    # With gold missing, g+ does not move the gold alone: it adds some.
    return "position" if scene.loss.missing is None and scene.is_high("g+") else None


def _generator(scene: Scene) -> SecondLevel | None:
    said = scene.on_gold
    if said is None or said.status == "error":
        return None
    if told_status(said.status, said.text) == "no_answer" or not said.text.strip():
        elsewhere: tuple[Arm, ...] = ("G+", "g+", "s", "r")
        return "wrongful_abstention" if any(map(scene.is_high, elsewhere)) else None
    given = [ContextPassage(p.passage_id, p.text, p.title) for p in scene.gold]
    if scene.grounded(said.text, given) is False:
        return "ungrounded"
    counts = any(map(read_quantities, scene.answers)) and read_quantities(said.text)
    if counts and numeric_match(said.text, scene.answers) < 1:
        return "numeric"
    if _is_incomplete(said.text, scene.answers):
        return "incomplete"
    request = scene.request
    is_answered = request.status == "ok" and scene.loss.cause != "in_context"
    unsupported = is_answered and scene.grounded(request.answer, scene.context) is False
    return "missed_abstention" if unsupported else None


def _lucky(scene: Scene) -> SecondLevel | None:
    unsupported = scene.grounded(scene.request.answer, scene.context) is False
    return "parametric" if unsupported and scene.is_high("none") else None


def _corpus(scene: Scene) -> SecondLevel:
    return "stale" if scene.gold_ids & scene.held else "missing"


def _label_suspect(scene: Scene) -> SecondLevel | None:
    elsewhere = [p.text for p in scene.context if p.passage_id not in scene.gold_ids]
    held = [passage.text for passage in scene.gold]
    if not _states(held, scene.answers) and _states(elsewhere, scene.answers):
        return "gold_passage"
    said = [
        one
        for one in (scene.on_gold, scene.stronger, scene.second)
        if one is not None and grade_answer("", one.text, one.status, scene.answers).y == 0
    ]
    agreed = any(agree(one, other) for one, other in combinations(said, 2))
    return "gold_answer" if agreed else None


def _spans_two_passages(scene: Scene) -> bool:
    """Whether no passage holds the gold answer, and a gold one with its neighbour does."""
    if not scene.answers or _states([passage.text for passage in scene.gold], scene.answers):
        return False
    at = {(p.document_id, p.position): p.text for p in scene.texts.values()}
    for passage in scene.gold:
        for first in (passage.position - 1, passage.position):
            pair = [at.get((passage.document_id, place)) for place in (first, first + 1)]
            if None not in pair and _states([" ".join(map(str, pair))], scene.answers):
                return True
    return False


def _is_crowded(scene: Scene, rank: int | None) -> bool:
    """Whether gold would be among the first k if each passage stood once."""
    if rank is None or rank <= scene.k:
        return False
    distinct: list[set[str]] = []
    for hit in scene.request.ranking[: rank - 1]:
        passage = scene.texts.get(hit.passage_id)
        words = set() if passage is None else set(normalise_answer(passage.text).split())
        if not words or all(_jaccard(words, other) < SAME_WORDS for other in distinct):
            distinct.append(words)
    return len(distinct) < scene.k


def _is_incomplete(said: str, golds: Sequence[str]) -> bool:
    """Whether an accepted answer of several facts is stated in part."""
    for gold in golds:
        facts = [fact for fact in _FACTS.split(gold) if normalise_answer(fact)]
        stated = sum(contains(said, fact) for fact in facts)
        if 0 < stated < len(facts):
            return True
    return False


def _states(texts: Sequence[str], answers: Sequence[str]) -> bool:
    return any(contains(text, answer) for text in texts for answer in answers)


def _holds(hits: Sequence[Hit], passage_ids: frozenset[str]) -> bool:
    return any(hit.passage_id in passage_ids for hit in hits)


def _jaccard(a: set[str], b: set[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


Test = Callable[[Scene], SecondLevel | None]
_BY_VERDICT: Mapping[str, Test] = {
    "distraction": _distraction,
    "generator": _generator,
    "lucky": _lucky,
    "corpus": _corpus,
    "label_suspect": _label_suspect,
}
_BY_CAUSE: Mapping[str, Test] = {
    "recall_miss": _recall_miss,
    "fusion_loss": _fusion_loss,
    "rerank_loss": _rerank_loss,
}
