"""Graders that count only what an answer says beyond its question.

Every answer repeats words of the question, a wrong or invented one too, so these tell nothing; nor
do stop words, nor a word that is said twice. Of what is left, how much do gold answer or context
hold? On public answers that people labelled both agree with them better than overlap of all words
(docs/grading.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ragdiag.grading.content_words import content_words, same_words
from ragdiag.grading.contract import Item, Subject, unsupportable
from ragdiag.grading.groundedness import Support, sentence_supports, words_of
from ragdiag.progress import Progress
from ragdiag.records import Grade
from ragdiag.retrieval.text import split_sentences

GROUNDED = 0.4


class NewWordsSupport:
    """Right where the share of the answer's new words that stand anywhere in its context reaches
    ``threshold``; an answer without a new word says nothing that would need support."""

    about: Subject = "grounded"

    def __init__(self, threshold: float = GROUNDED) -> None:
        self.name = f"grounded_new_words-v2@{threshold:g}"
        self._threshold = threshold

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        return [unsupportable(item, self.name, self.about) or self._judge(item) for item in items]

    def _judge(self, item: Item) -> Grade:
        new = new_words(item.answer, item.question)
        held = {word for passage in item.context for word in words_of(passage.text)}
        missing = sorted(new - held)
        score = 1 - len(missing) / len(new) if new else 1.0
        named = f"; not there: {', '.join(missing[:5])}" if missing else ""
        right = score >= self._threshold
        reason = f"{score:.2f} {'≥' if right else '<'} {self._threshold:g}{named}"
        told = sentence_supports(
            split_sentences(item.answer), item.context, _support(item.question), self._threshold
        )
        return Grade(item.item_id, self.name, int(right), score, reason=reason, sentences=told)


def _support(question: str) -> Support:
    """Share of each sentence's new words that stand in the texts; 1 for one without any."""

    def support(sentences: Sequence[str], texts: Sequence[str]) -> list[float]:
        held = {word for text in texts for word in words_of(text)}
        new = [new_words(sentence, question) for sentence in sentences]
        return [len(words & held) / len(words) if words else 1.0 for words in new]

    return support


def new_words(answer: str, question: str) -> frozenset[str]:
    """What the answer says that is neither in the question nor a stop word, digits too.

    >>> sorted(new_words("A dose of Paxil is 2 mg.", "What is a dose of Paxil?"))
    ['2', 'mg']
    """
    return frozenset(words_of(answer)) - frozenset(words_of(question)) - _stop_words()


def new_words_f1(item: Item) -> float:
    """The best F1 between the new words of the answer and those of a gold answer; where neither has
    any, 1 if all their content words are the same, or all their words where they have none.

    >>> new_words_f1(Item("r", "Which tower?", "Paris has the tower", golds=("the tower in Rome",)))
    0.0
    """
    asked = frozenset(content_words(item.question))
    return max(_f1(item.answer, gold, asked) for gold in item.golds)


def _f1(answer: str, gold: str, asked: frozenset[str]) -> float:
    said, wanted = frozenset(content_words(answer)), frozenset(content_words(gold))
    new, missed = said - asked, wanted - asked
    if new or missed:
        return 2 * len(new & missed) / (len(new) + len(missed))
    return float(said == wanted if said or wanted else same_words(answer, gold))


@cache
def _stop_words() -> frozenset[str]:
    """The 318 of Glasgow, as scikit-learn has them: many more than a search index leaves out."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)
