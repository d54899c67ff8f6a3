"""Pairs where nobody has judged anything: titles and first sentences, and BM25's clear winners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Passage, Request
from ragdiag.retrieval.lexical import build_lexical
from ragdiag.retrieval.text import sentence_spans
from ragdiag.retrieval.vectors import passage_text
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.mined import Mined
from ragdiag.training.data.pairs import NOT_STORED, question_name
from ragdiag.training.data.similarity import contains_question, normalised
from ragdiag.version import LexicalSpec


@dataclass(frozen=True)
class WeakOptions:
    """``weight`` of a weak pair beside a judged one. A question has ``least_words`` to
    ``most_words``, what is left of its passage at least ``least_left``. ``margin``: by which share
    of its score BM25's first must be ahead of its second."""

    weight: float = 0.5
    least_words: int = 3
    most_words: int = 40
    least_left: int = 8
    margin: float = 0.2


def pairs_from_titles(
    passages: Sequence[Passage],
    options: WeakOptions | None = None,
    *,
    most: int | None = None,
    seed: int = 0,
) -> Mined:
    """A passage's title as its question, where it is the first of its document and no other
    document is called so; else its first sentence. Whatever says the question is taken out of the
    text: to find the one in the other would teach nothing.

    ``most``: so many pairs at most, of passages drawn at random. Skipped: passages without a
    usable question, or of which too little would be left.
    """
    options = options or WeakOptions()
    titled = _first_of_titles(passages)
    pairs: list[Pair] = []
    texts, skipped = {}, []
    drawn = passages if most is None else Random(seed).sample(passages, len(passages))
    for passage in drawn:
        if len(pairs) == most:
            break
        title = titled.get(passage.passage_id)
        found = next(
            (
                (question, left)
                for question in ([title] if title else []) + _first_sentence(passage.text)
                if (left := _text_without(passage.text, question, options)) is not None
            ),
            None,
        )
        if found is None:
            skipped.append(passage.passage_id)
            continue
        question, texts[passage.passage_id] = found
        name = f"title:{passage.passage_id}"
        pairs.append(Pair(name, question, passage.passage_id, "title", options.weight))
    reason = {"no title or first sentence to ask with": skipped} if skipped else {}
    return Mined(tuple(pairs), texts=texts, skipped=reason)


def pairs_from_bm25(
    requests: Iterable[Request],
    passages: Sequence[Passage],
    spec: LexicalSpec,
    options: WeakOptions | None = None,
) -> Mined:
    """Logged questions with the passage that BM25 puts first by ``options.margin``; each wording
    once. Skipped: the others. Raises IndexFault where the passages have no word."""
    options = options or WeakOptions()
    wordings: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        wordings[normalised(request.question)].append(request)
    if not wordings:
        return Mined()
    index = build_lexical([passage_text(one, title=spec.title) for one in passages], spec)
    pairs, skipped = [], defaultdict(list)
    for same in wordings.values():
        first = same[0]
        if is_hidden(first.question):
            skipped[NOT_STORED].append(first.request_id)
            continue
        winner = _clear_winner(index.scores(first.question), options.margin)
        if winner is None:
            skipped["BM25 has no clear first"].append(first.request_id)
            continue
        pairs.append(
            Pair(
                question_id=question_name(first),
                question=first.question,
                passage_id=passages[winner].passage_id,
                source="bm25",
                weight=options.weight,
                request_ids=tuple(sorted(one.request_id for one in same)),
            )
        )
    return Mined(tuple(pairs), skipped=dict(skipped))


def _clear_winner(
    scores: np.ndarray[tuple[int], np.dtype[np.float32]], margin: float
) -> int | None:
    order = np.argsort(-scores, kind="stable")[:2]
    best = float(scores[order[0]])
    second = float(scores[order[1]]) if len(order) > 1 else 0.0
    return int(order[0]) if best > 0 and best - second >= margin * best else None


def _first_of_titles(passages: Iterable[Passage]) -> dict[str, str]:
    """Passage id → title, of the first passage of every document whose title is its own."""
    documents: dict[str, set[str]] = defaultdict(set)
    first: dict[str, Passage] = {}
    for passage in passages:
        documents[normalised(passage.title)].add(passage.document_id)
        known = first.setdefault(passage.document_id, passage)
        if passage.position < known.position:
            first[passage.document_id] = passage
    return {
        one.passage_id: one.title
        for one in first.values()
        if one.title.strip() and len(documents[normalised(one.title)]) == 1
    }


def _first_sentence(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)[:1]]


def _text_without(text: str, question: str, options: WeakOptions) -> str | None:
    """``text`` less every sentence that says ``question``; None where either would say too little,
    or where the question runs over the end of a sentence."""
    if not options.least_words <= len(normalised(question).split()) <= options.most_words:
        return None
    left = "".join(_sentences_without(text, question)).strip()
    is_long = len(normalised(left).split()) >= options.least_left
    return left if is_long and not contains_question(left, question) else None


def _sentences_without(text: str, question: str) -> Iterator[str]:
    """Each sentence that is kept, with the white space before it."""
    before = 0
    for start, end in sentence_spans(text):
        if not contains_question(text[start:end], question):
            yield text[before:end]
        before = end
