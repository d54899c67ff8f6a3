"""The contexts under which a question is answered again (METHODS.md §4).

Of the version's generator: ``r`` the logged context, ``s`` the candidates in a perfect order packed
as the version packs, ``g`` the gold passages alone, ``g+`` the gold put in front of the logged
context, ``g-`` of the logged context the gold alone, where some gold is missing, ``r-g`` the logged
context without gold, ``r-m`` without the passage that misled, ``none`` no context. Of a stronger
one: ``G+`` the gold passages, ``G+r`` the logged context. Of a second other one: ``G2`` the gold
passages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence

from ragdiag.diagnosis.waterfall import contains
from ragdiag.metrics.answers import normalise_answer
from ragdiag.records import Arm, ContextPassage, Hit, Passage, Request

Contexts = dict[Arm, tuple[ContextPassage, ...]]
STRONGER: dict[Arm, Arm] = {"G+": "g", "G+r": "r"}
"""Arms of the stronger generator, with the arm whose context each is given."""
SECOND: dict[Arm, Arm] = {"G2": "g"}
"""The same of the second other generator."""
OTHERS = STRONGER | SECOND


def arm_contexts(
    logged: Sequence[ContextPassage],
    gold: Sequence[Passage],
    *,
    oracle: Sequence[ContextPassage] | None = None,
    misleading: str | None = None,
    is_partial: bool = False,
) -> Contexts:
    """The context of every arm of the version's generator. Gold is given whole and first; what was
    logged keeps its order. Without ``oracle`` there is no ``s``, without the id of a ``misleading``
    passage no ``r-m``, and ``g-`` only where the gold is there in part (``is_partial``)."""
    given = tuple(ContextPassage(p.passage_id, p.text, p.title) for p in gold)
    golden = {passage.passage_id for passage in given}
    kept = without(logged, golden)
    contexts: Contexts = {"r": tuple(logged), "g": given, "g+": given + kept}
    if oracle is not None:
        contexts["s"] = tuple(oracle)
    if misleading is not None:
        contexts["r-m"] = without(logged, {misleading})
    if is_partial:
        contexts["g-"] = tuple(passage for passage in logged if passage.passage_id in golden)
    return contexts | {"r-g": kept, "none": ()}


def without(
    context: Sequence[ContextPassage], passage_ids: Collection[str]
) -> tuple[ContextPassage, ...]:
    return tuple(passage for passage in context if passage.passage_id not in passage_ids)


def oracle_order(request: Request, gold: Collection[str]) -> tuple[Hit, ...]:
    """Every candidate of the request once: the gold first, the others as they were ranked, and
    last those that fusion cut."""
    lists = (request.ranking, request.fused, request.lexical or (), request.dense or ())
    pool = {hit.passage_id: hit for hit in _reversed_chain(lists)}
    order = dict.fromkeys(hit.passage_id for hits in lists for hit in hits)
    return tuple(pool[name] for name in sorted(order, key=lambda name: name not in gold))


def find_misleading(
    answer: str, context: Sequence[ContextPassage], gold: Collection[str]
) -> str | None:
    """The passage beside the gold ones that a wrong answer came from: the first that holds it
    verbatim, else the one that holds most of its words, if that is more than the gold does.

    >>> near = ContextPassage("n", "Dogs sleep ten hours.")
    >>> find_misleading("ten hours", [near, ContextPassage("g", "Cats sleep 15 hours.")], {"g"})
    'n'
    """
    said = set(normalise_answer(answer).split())
    if not said:
        return None

    def held(passage: ContextPassage) -> float:
        words = set(normalise_answer(passage.text).split())
        return 2.0 if contains(passage.text, answer) else len(said & words) / len(said)

    others = without(context, gold)
    best = max(others, key=held, default=None)
    rival = max((held(passage) for passage in context if passage.passage_id in gold), default=0.0)
    return best.passage_id if best is not None and held(best) > rival else None


def draw_key(identity: str, question: str, context: Sequence[ContextPassage], number: int) -> str:
    """SHA-256 of everything that decides the ``number``-th answer; ``identity`` is the generator's
    whole spec."""
    told = [[passage.passage_id, passage.title, passage.text] for passage in context]
    text = json.dumps([identity, question, told, number], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _reversed_chain(lists: Iterable[Sequence[Hit]]) -> Iterable[Hit]:
    """All hits, the first lists last, so that a passage's hit of the first list stays."""
    return (hit for hits in reversed(list(lists)) for hit in hits)
