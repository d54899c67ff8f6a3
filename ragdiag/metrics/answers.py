"""Answer metrics against accepted gold answers: exact match, token F1, containment.

The default grader of METHODS.md §2: right if a normalised gold answer is contained in the answer,
or the token F1 reaches a threshold. Sources: Rajpurkar et al. 2016 (SQuAD) and its evaluation
script; characters as tokens where a script has no spaces, Lewis et al. 2020 (MLQA). What is not
SQuAD's: punctuation and forms of Unicode, and that a sign and a decimal point are part of a number.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

from ragdiag.records import DEFAULT_GRADER, Grade, Status
from ragdiag.unicode_forms import normal_form

F1_THRESHOLD = 0.5

_ARTICLES = frozenset({"a", "an", "the"})
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
"""A word with its punctuation, or a character of a script that puts no spaces between words."""

_CHARACTER = re.compile(rf"[{_UNSPACED}]")
_OF_NUMBER = re.compile(r"[-.^](?=[-.\d])")
_RAISED = re.compile(r"(?<=[^\W_])[⁺⁻]?[⁰¹²³⁴-⁹]+")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
"""Any of them may be the sign of a number."""
_KEPT = {".": "\ue000", "-": "\ue001", "^": "\ue002"}
_ASCII = {
    **dict.fromkeys(map(ord, string.punctuation)),
    **{ord(stand_in): sign for sign, stand_in in _KEPT.items()},
}
"""Deletes punctuation, and puts back what stands in for the signs of numbers."""


def normalise_answer(text: str) -> str:
    """Lower case, without punctuation and English articles, single spaces; nothing where there is
    nothing else.

    >>> normalise_answer("The  Eiffel-Tower, (“Paris”)!"), normalise_answer("-1,024.5 °C.")
    ('eiffeltower paris', '-1024.5 °c')
    >>> normalise_answer("東京タワー, 1958年")
    '東 京 タ ワ ー 1958 年'
    """
    return " ".join(word for word in _without_punctuation(text) if word not in _ARTICLES)


def _without_punctuation(text: str) -> list[str]:
    if text.isascii():
        return _OF_NUMBER.sub(_keep, text.lower()).translate(_ASCII).split()
    text = _RAISED.sub(r"^\g<0>", text)
    # To fold case may leave a letter beside its mark.
    text = normal_form("NFKC", normal_form("NFKC", text).casefold())
    text = _OF_NUMBER.sub(_keep, text.translate(_DASHES))
    return _CHARACTER.sub(r" \g<0> ", text).translate(_unicode()).split()


def _keep(found: re.Match[str]) -> str:
    """What is part of a number, so that it outlives the punctuation: its sign, its decimal point,
    the mark of a power. No sign is a hyphen, nor the mark of a list at the start of a line; no
    decimal point is one of several (24.12.2020)."""
    mark, text, at = found.group(), found.string, found.start()
    before, after = text[at - 1] if at else " ", text[at + 1 : at + 3]
    starts = not (before.isalnum() or before in "_.\n")
    of_digit = after[0].isdigit()
    if mark == "-":
        kept = starts and (of_digit or after[1:].isdigit())
    elif mark == ".":
        kept = of_digit and (starts or (before.isdigit() and _is_alone(text, at)))
    else:
        kept = before.isalnum() and (of_digit or after[1:].isdigit())
    return _KEPT[mark] if kept else mark


def _is_alone(text: str, at: int) -> bool:
    """Whether no other point stands beside the digits around the one at ``at``."""
    left, right = at - 1, at + 1
    while left >= 0 and text[left].isdigit():
        left -= 1
    while right < len(text) and text[right].isdigit():
        right += 1
    return text[max(left, 0)] != "." and not (
        text[right : right + 1] == "." and text[right + 1 : right + 2].isdigit()
    )


@cache
def punctuation() -> str:
    """What :func:`normalise_answer` leaves out within a word: punctuation, signs of currency and
    invisible characters of every script, and the other signs of ASCII. It takes some 40 ms, once.
    """
    deleted = (unicodedata.category(one) for one in map(chr, range(0x1F000)))
    others = "".join(
        chr(code) for code, kind in enumerate(deleted) if kind[0] == "P" or kind in ("Sc", "Cf")
    )
    return string.punctuation + others


@cache
def _unicode() -> dict[int, str | None]:
    return {**dict.fromkeys(map(ord, punctuation())), **_ASCII}


def _whole(text: str) -> list[str]:
    """The tokens of an answer that is held against another: its articles where it has nothing
    else ("A" of several choices), its marks where it has none ("!=")."""
    words = _without_punctuation(text)
    return [word for word in words if word not in _ARTICLES] or words or text.split()


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 if the normalised answer equals any normalised gold answer, else 0; NaN without gold.

    Where nothing is left of either, articles count, and then marks.

    >>> exact_match("the Loire.", ["Seine", "Loire"]), exact_match("!=", ["=="])
    (1.0, 0.0)
    """
    if not golds:
        return math.nan
    said = _whole(answer)
    return float(any(said == _whole(gold) for gold in golds))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """The best F1 between the tokens of the answer and of any gold answer; NaN without gold.

    Tokens are counted as a multiset; where a text has none, as in :func:`exact_match`. Two empty
    texts agree (1); one of them alone is 0.

    >>> token_f1("in the year 1889", ["1889"])  # precision 1/3, recall 1
    0.5
    """
    if not golds:
        return math.nan
    said = _whole(answer)
    return max(_f1(said, _whole(gold)) for gold in golds)


def contains_answer(answer: str, golds: Sequence[str]) -> float:
    """1 if any normalised gold answer stands in the normalised answer, else 0; NaN without gold.

    Whole tokens only: gold "1" is not in "10 days". A gold answer of articles and punctuation
    alone is contained in nothing.

    >>> contains_answer("It opened in 1889, in Paris.", ["Paris"])
    1.0
    >>> contains_answer("within 10 days", ["1"])
    0.0
    """
    if not golds:
        return math.nan
    said = f" {normalise_answer(answer)} "
    wanted = (normalise_answer(gold) for gold in golds)
    return float(any(gold and f" {gold} " in said for gold in wanted))


def grade_answer(
    request_id: str,
    answer: str,
    status: Status,
    golds: Sequence[str] | None,
    threshold: float = F1_THRESHOLD,
) -> Grade:
    """The default Y (METHODS.md §2), with token F1 as its score and the rule that decided.

    Without gold answers Y is unknown. A request that failed or declined to answer is wrong (0):
    somebody asked, and an answer exists.

    >>> grade_answer("r1", "It was 1889.", "ok", ["1889"]).y
    1
    >>> grade_answer("r1", "", "no_answer", ["1889"]).reason
    'no answer was given'
    >>> grade_answer("r1", "1889", "ok", None).status
    'no_gold'
    """
    if not golds:
        return Grade(request_id, DEFAULT_GRADER, None, status="no_gold", reason="no gold answer")
    score = token_f1(answer, golds)
    if status != "ok":
        what = "no answer was given" if status == "no_answer" else "the request failed"
        return Grade(request_id, DEFAULT_GRADER, 0, score, reason=what)
    if contains_answer(answer, golds):
        return Grade(request_id, DEFAULT_GRADER, 1, score, reason="contains a gold answer")
    right = score >= threshold
    comparison = f"token F1 {score:.2f} {'≥' if right else '<'} {threshold:g}"
    return Grade(request_id, DEFAULT_GRADER, int(right), score, reason=comparison)


def _f1(said: Sequence[str], gold: Sequence[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    common = (Counter(said) & Counter(gold)).total()
    return 2.0 * common / (len(said) + len(gold))
