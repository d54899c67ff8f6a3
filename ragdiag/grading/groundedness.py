"""Is each sentence of an answer supported by the context, and do the citations carry it?

Support of a sentence, by ``lexical``: the share of its words that stand in the context (knowledge
precision: Dziri et al. 2022; Adlakha et al. 2024); by ``encoder``: its highest cosine with a
sentence of the context. A grade's score is the mean over sentences weighted by their words, which
for ``lexical`` is exactly the precision of the whole answer; it is right (1) where that reaches the
threshold. Asked of every sentence it would hang on the shortest: at 0.6 that finds 48 % of the
faithful answers of docs/grading.md, the mean 90 %.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ragdiag.generation.sentence_vectors import SentenceVectors
from ragdiag.grading.contract import Item, Subject, unsupportable
from ragdiag.metrics.citations import citation_scores
from ragdiag.progress import Progress, report
from ragdiag.records import ContextPassage, Grade, SentenceSupport
from ragdiag.retrieval.text import split_sentences

Support = Callable[[Sequence[str], Sequence[str]], list[float]]
"""From sentences and the texts they may rest on to each sentence's support, at most 1."""

LEXICAL = 0.6
ENCODER = 0.6

_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Lower-case words, single letters and digits too: a dose is one digit.

    >>> words_of("Take 2 mg.")
    ['take', '2', 'mg']
    """
    return _WORD.findall(text.lower())


def lexical_support(sentences: Sequence[str], texts: Sequence[str]) -> list[float]:
    """Share of each sentence's words that stand in the texts; 1 for a sentence without words.

    >>> lexical_support(["Cats sleep.", "Dogs bark."], ["All cats sleep, some dogs do."])
    [1.0, 0.5]
    """
    held = {word for text in texts for word in words_of(text)}
    shares = []
    for sentence in sentences:
        words = words_of(sentence)
        shares.append(sum(word in held for word in words) / len(words) if words else 1.0)
    return shares


def encoder_support(vectors: SentenceVectors) -> Support:
    """The highest cosine of each sentence with a sentence of the texts."""

    def support(sentences: Sequence[str], texts: Sequence[str]) -> list[float]:
        parts = list(dict.fromkeys(part for text in texts for part in split_sentences(text)))
        if not parts:
            return [0.0] * len(sentences)
        cosines = vectors.of(list(sentences)) @ vectors.of(parts).T
        return [float(value) for value in cosines.max(axis=1)]

    return support


def sentence_supports(
    sentences: Sequence[str], context: Sequence[ContextPassage], support: Support, threshold: float
) -> tuple[SentenceSupport, ...]:
    """What all passages together make of each sentence, and which supports it most by itself, the
    first of several.

    >>> passages = [ContextPassage("a", "cats sleep"), ContextPassage("b", "cats sleep a lot")]
    >>> sentence_supports(["Cats sleep a lot."], passages, lexical_support, 0.6)
    (SentenceSupport(supported=True, score=1.0, passage_id='b'),)
    """
    together = support(sentences, [passage.text for passage in context])
    alone = [support(sentences, [passage.text]) for passage in context]
    found = []
    for score, by_passage in zip(together, zip(*alone, strict=True), strict=True):
        most = max(by_passage)
        source = context[by_passage.index(most)].passage_id if most > 0 else None
        found.append(SentenceSupport(score >= threshold, score, source))
    return tuple(found)


class GroundednessGrader:
    """Right where the context that the answer was given supports it."""

    about: Subject = "grounded"

    def __init__(self, name: str, support: Support, threshold: float) -> None:
        self.name = f"{name}-v2@{threshold:g}"
        self._support = support
        self._threshold = threshold

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        grades = []
        for number, item in enumerate(items, start=1):
            grades.append(unsupportable(item, self.name, self.about) or self._judge(item))
            report(progress, number / len(items), f"graded {number} of {len(items)}")
        return grades

    def _judge(self, item: Item) -> Grade:
        sentences = split_sentences(item.answer)
        told = sentence_supports(sentences, item.context, self._support, self._threshold)
        support = [one.score or 0.0 for one in told]
        weights = [max(len(words_of(sentence)), 1) for sentence in sentences]
        score = sum(w * s for w, s in zip(weights, support, strict=True)) / sum(weights)
        right = score >= self._threshold
        held = sum(one.supported for one in told)
        reason = (
            f"{score:.2f} {'≥' if right else '<'} {self._threshold:g}; "
            f"{held} of {len(sentences)} sentences supported, the least by {min(support):.2f}"
        )
        return Grade(item.item_id, self.name, int(right), score, reason=reason, sentences=told)


class CitationGrader:
    """ALCE's citation recall or precision, with lexical support as the test; right where it is 1.

    Without any citation the recall is 0 and the precision undefined.
    """

    about: Subject = "cited"

    def __init__(self, measure: str, threshold: float = LEXICAL) -> None:
        self.name = f"citation_{measure}-v2@{threshold:g}"
        self._measure = measure
        self._threshold = threshold

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        return [unsupportable(item, self.name, self.about) or self._judge(item) for item in items]

    def _judge(self, item: Item) -> Grade:
        sentences = split_sentences(item.answer)
        texts = {passage.passage_id: passage.text for passage in item.context}

        def supports(number: int, passages: Sequence[str]) -> bool:
            # What is cited and was not in the context supports nothing.
            given = [texts[passage] for passage in passages if passage in texts]
            return lexical_support([sentences[number]], given)[0] >= self._threshold

        found = citation_scores(len(sentences), item.citations, supports)
        value = found.recall if self._measure == "recall" else found.precision
        if value != value:
            return Grade(item.item_id, self.name, None, None, "undefined", "nothing is cited")
        cited = len(dict.fromkeys(item.citations))
        reason = f"{cited} citations, {len(sentences)} sentences"
        return Grade(item.item_id, self.name, int(value == 1), value, reason=reason)
