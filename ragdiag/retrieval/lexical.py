"""BM25 (Robertson & Zaragoza 2009): bm25s serves, rank-bm25 is the reference it is held against.

bm25s (method "lucene"):  score = Σ_t idf(t) · tf / (tf + k1·(1 − b + b·|d|/avg|d|)),
idf(t) = ln(1 + (N − df + ½)/(df + ½)). rank-bm25 (Okapi): the same with (k1 + 1) in the
numerator and idf(t) = ln((N − df + ½)/(df + ½)), floored at a quarter of the mean idf and at .001,
since that mean is not positive in a few passages, where nothing would be found. t runs over the
question's words, or their stems; a word asked twice counts twice. The two differ in words that
occur in about half of the passages, so their lists agree but for a few places.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import local
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ragdiag.errors import IndexFault
from ragdiag.unicode_forms import combining_marks, normal_form
from ragdiag.version import LexicalSpec

Scores = npt.NDArray[np.float32]

_WORD = re.compile(r"(?u)\b\w\w+\b")
_TOKENS_FILE = "tokens.json"
_IDF_FLOOR = 1e-3


def tokenise(text: str, stopwords: Literal["en", "none"] = "en") -> list[str]:
    """Lower-case words of two or more letters or digits, without English stop words; no stemming.

    Languages without spaces give one token per run of characters. A mark belongs to its letter:
    accents are composed (NFC), and vowel signs of Indic scripts are part of the word.

    >>> tokenise("What is the R-0 of SARS-CoV-2?")
    ['what', 'sars', 'cov']
    """
    text = text.lower()
    pattern = _WORD
    if has_marks(text):
        text = normal_form("NFC", text)
        pattern = _marked_word()
    words = pattern.findall(text)
    return words if stopwords == "none" else [word for word in words if word not in _english()]


def has_marks(text: str) -> bool:
    """Whether ``text`` may have words that an index of before marks counted holds in pieces."""
    if text.isascii():
        return False
    # In this order: to tell whether many marks are in their place takes their number squared.
    return not (combining_marks().isdisjoint(text) and unicodedata.is_normalized("NFC", text))


def terms(text: str, spec: LexicalSpec) -> list[str]:
    """What BM25 counts of ``text``: its words, or their stems.

    >>> terms("How are vaccines tested?", LexicalSpec(stemmer="english"))
    ['how', 'vaccin', 'test']
    """
    words = tokenise(text, spec.stopwords)
    return words if spec.stemmer == "none" else list(_stemmer(spec.stemmer).stemWords(words))


class Lexical(Protocol):
    """Scores of every passage for a question, in the order in which they were indexed."""

    def scores(self, question: str) -> Scores:
        """BM25 of each passage, float32 (n,); 0 where no word is shared."""
        ...

    def upper_bound(self, question: str) -> float:
        """What no passage, however long it repeats the question, can score; 0 for no known word."""
        ...

    def save(self, directory: Path) -> None: ...


class FastLexical:
    """bm25s: contributions are computed at indexing, a question adds up a few columns."""

    def __init__(self, index: Any, spec: LexicalSpec) -> None:
        self._index, self._spec = index, spec

    def scores(self, question: str) -> Scores:
        return np.asarray(self._index.get_scores_from_ids(self._ids(question)), dtype=np.float32)

    def upper_bound(self, question: str) -> float:
        """Σ_t idf(t): the share of a word nears 1 as its count grows."""
        indptr, passages = self._index.scores["indptr"], self._index.scores["num_docs"]
        ids = np.asarray(self._ids(question), dtype=np.int64)
        frequency = (indptr[ids + 1] - indptr[ids]).astype(np.float64)
        return float(np.log1p((passages - frequency + 0.5) / (frequency + 0.5)).sum())

    def save(self, directory: Path) -> None:
        self._index.save(directory, show_progress=False)

    def _ids(self, question: str) -> list[int]:
        ids: list[int] = self._index.get_tokens_ids(terms(question, self._spec))
        return ids


class ReferenceLexical:
    """rank-bm25: every passage is visited for every word of the question, in plain Python."""

    def __init__(self, tokens: list[list[str]], spec: LexicalSpec) -> None:
        from rank_bm25 import BM25Okapi

        self._tokens, self._spec = tokens, spec
        self._index: Any = BM25Okapi(tokens, k1=spec.k1, b=spec.b)
        self._index.idf = {word: max(idf, _IDF_FLOOR) for word, idf in self._index.idf.items()}

    def scores(self, question: str) -> Scores:
        words = terms(question, self._spec)
        return np.asarray(self._index.get_scores(words), dtype=np.float32)

    def upper_bound(self, question: str) -> float:
        """Σ_t idf(t)·(k1 + 1)."""
        idf = [self._index.idf.get(word, 0.0) for word in terms(question, self._spec)]
        return float(sum(idf) * (self._index.k1 + 1))

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self._tokens, ensure_ascii=False)
        (directory / _TOKENS_FILE).write_text(text, encoding="utf-8")


def build_lexical(texts: Sequence[str], spec: LexicalSpec) -> Lexical:
    """Index ``texts``. Raises IndexFault where they have not one word between them."""
    return index_terms([terms(text, spec) for text in texts], spec)


def index_terms(tokens: list[list[str]], spec: LexicalSpec) -> Lexical:
    """Index passages by what :func:`terms` counts of each. Raises as :func:`build_lexical`."""
    if not any(tokens):
        raise IndexFault(
            f"there is no word to index in {len(tokens)} passages",
            remedy='import text, or set stopwords = "none" in [lexical]',
        )
    if spec.engine == "rank_bm25":
        return ReferenceLexical(tokens, spec)
    import bm25s

    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(word, len(vocabulary)) for word in words] for words in tokens]
    index = bm25s.BM25(k1=spec.k1, b=spec.b, method="lucene", backend="numpy")
    index.index((ids, vocabulary), create_empty_token=False, show_progress=False)
    return FastLexical(index, spec)


def load_lexical(directory: Path, spec: LexicalSpec) -> Lexical:
    """What ``save`` wrote to ``directory`` under the same spec."""
    if spec.engine == "rank_bm25":
        tokens = json.loads((directory / _TOKENS_FILE).read_text(encoding="utf-8"))
        return ReferenceLexical(tokens, spec)
    import bm25s

    return FastLexical(bm25s.BM25.load(directory, load_corpus=False, show_progress=False), spec)


_stemmers = local()


def _stemmer(language: str) -> Any:
    """One of each language in every thread: a stemmer is not safe in several."""
    import Stemmer

    known: dict[str, Any] = _stemmers.__dict__
    return known.setdefault(language, Stemmer.Stemmer(language))


@cache
def _marked_word() -> re.Pattern[str]:
    return re.compile(rf"\w[\w{''.join(sorted(combining_marks()))}]+")


@cache
def _english() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)
