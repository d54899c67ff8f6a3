"""Text in sentences, in chunks and in tokens. Every piece is a verbatim slice of what was given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ragdiag.errors import InputError, ModelError
from ragdiag.records import Passage
from ragdiag.retrieval.markup import plain_text
from ragdiag.retrieval.models import tokenizer_file
from ragdiag.version import PACKAGED_MODEL

__all__ = [
    "TokenCounter",
    "chunk_document",
    "load_tokenizer",
    "plain_text",
    "sentence_spans",
    "split_sentences",
]

Span = tuple[int, int]

_BREAK = re.compile(
    r"""(?<![.!?…]) [.!?…]++ ["'”’)\]]*+ (?=\s)   # a full stop, closing quotes, then a space
      | [。！？]++ ["”’）」』]*+                    # Chinese and Japanese put no space
      | \n [^\S\n]*+ \n                           # a blank line
      | \n (?=[^\S\n]*+ [-*•‣] \s)                # the next item of a list
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"al|approx|art|ca|cf|ch|chap|co|corp|dept|dr|eds?|e\.?g|eqs?|esp|est|ex|figs?|gen|gov|hon|"
    r"i\.?e|inc|incl|jr|ltd|mrs?|ms|mt|nr|pp?|ph\.d|prof|refs?|resp|rev|sec|sect|sr|st|suppl|tab|"
    r"univ|vols?|vs|viz",
    re.IGNORECASE,
)
_BEFORE_NUMBERS = frozenset({"no", "nos"})
_OPENERS = "\"'“‘([{"


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text``, each a verbatim slice without surrounding white space.

    A sentence ends at ``. ! ? …`` before white space, at a blank line or before a list item. Not
    at abbreviations and initials, nor where the next word starts in lower case.

    >>> split_sentences("See Fig. 3, e.g. the mean of 2.5 mg. It was written by J. R. Smith!")
    ['See Fig. 3, e.g. the mean of 2.5 mg.', 'It was written by J. R. Smith!']
    """
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[Span]:
    """Where the sentences of ``text`` start and end; only white space lies between them."""
    ends = [match.end() for match in _BREAK.finditer(text) if _ends_sentence(text, match)]
    spans = []
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        piece = text[start:end]
        if piece.strip():
            left = start + len(piece) - len(piece.lstrip())
            spans.append((left, start + len(piece.rstrip())))
    return spans


def _ends_sentence(text: str, found: re.Match[str]) -> bool:
    if not found.group().startswith("."):
        return True
    following = text[found.end() : found.end() + 80].lstrip().lstrip(_OPENERS)
    if following[:1].islower():
        return False
    if found.group() != ".":
        return True
    words = text[max(0, found.start() - 40) : found.start()].split()
    word = words[-1].lstrip(_OPENERS) if words else ""
    if word.lower() in _BEFORE_NUMBERS:
        return not following[:1].isdigit()
    return _ABBREVIATION.fullmatch(word) is None and not _is_initial(word)


def _is_initial(word: str) -> bool:
    """``J`` in "J. Smith", ``U.S`` in "U.S. law"; but not ``I``, which is a pronoun.

    >>> [_is_initial(word) for word in ("J", "U.S", "I", "vitamin-D")]
    [True, True, False, False]
    """
    return word != "I" and re.fullmatch(r"[A-Z](\.[A-Z])*", word) is not None


class TokenCounter:
    """Counts tokens as a model's own tokenizer does, without special tokens or truncation."""

    def __init__(self, path: Path) -> None:
        """Read a ``tokenizer.json``. Raises ModelError where it is not one."""
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises Exception itself
            raise ModelError(
                f"cannot read the tokenizer {path} ({error})",
                remedy="save the model again with its fast tokenizer",
            ) from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False)) if text else 0


def load_tokenizer(model: str = PACKAGED_MODEL) -> TokenCounter:
    """The token counter of a model, loaded once. Raises ModelError where there is none."""
    path = tokenizer_file(model)
    return _counter(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=4)
def _counter(path: Path, modified: int) -> TokenCounter:
    return TokenCounter(path)


def chunk_document(
    document_id: str, text: str, title: str, max_tokens: int, tokenizer: TokenCounter
) -> list[Passage]:
    """Cut ``text`` into passages of at most ``max_tokens`` tokens, at sentence ends.

    As many whole sentences as fit go into a passage; a sentence that is too long for one is cut
    between words, a word that is too long between characters. Passages are verbatim slices in
    order, white space alone lies between them, and ids are ``<document_id>#<position>``. Text
    without a visible character gives no passage. ``max_tokens`` counts neither the title nor the
    tokens that a model adds. Raises InputError for fewer than 8 tokens, where a single character
    may not fit.
    """
    if max_tokens < 8:
        raise InputError(
            f"passages of {max_tokens} tokens are too short to mean anything",
            remedy="ask for 8 tokens or more",
        )

    def fits(start: int, end: int) -> bool:
        return tokenizer.count(text[start:end]) <= max_tokens

    pieces = [piece for span in sentence_spans(text) for piece in _within(text, span, fits)]
    return [
        Passage(f"{document_id}#{position}", document_id, text[start:end], title, position)
        for position, (start, end) in enumerate(_joined(pieces, fits))
    ]


Fits = Callable[[int, int], bool]


def _within(text: str, span: Span, fits: Fits) -> list[Span]:
    """``span`` whole if it fits, else in words, and words that do not fit in pieces."""
    if fits(*span):
        return [span]
    words = [match.span() for match in re.compile(r"\S+").finditer(text, *span)]
    return [piece for word in words for piece in _pieces(word, fits)]


def _pieces(word: Span, fits: Fits) -> Iterator[Span]:
    """A word halved until every piece fits."""
    start, end = word
    if end - start == 1 or fits(start, end):
        yield word
        return
    middle = (start + end) // 2
    yield from _pieces((start, middle), fits)
    yield from _pieces((middle, end), fits)


def _joined(pieces: Sequence[Span], fits: Fits) -> Iterator[Span]:
    """Neighbouring pieces joined as long as they fit."""
    first = 0
    while first < len(pieces):
        last = _last_that_fits(pieces, first, fits)
        yield pieces[first][0], pieces[last][1]
        first = last + 1


def _last_that_fits(pieces: Sequence[Span], first: int, fits: Fits) -> int:
    """Index of the last piece that fits with ``first``: doubling, then bisection."""
    start, good, step = pieces[first][0], first, 1
    while step:
        candidate = good + step
        if candidate < len(pieces) and fits(start, pieces[candidate][1]):
            good, step = candidate, step * 2
        else:
            step //= 2
    return good
