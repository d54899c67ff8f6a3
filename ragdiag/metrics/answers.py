"""Answer metrics against accepted gold answers: SQuAD normalisation, exact match, token F1.

The default grader of METHODS.md §2: right if a normalised gold answer is contained in the answer,
or the token F1 reaches a threshold. Sources: Rajpurkar et al. 2016 (SQuAD), its evaluation script.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

from ragdiag.records import DEFAULT_GRADER, Grade, Status

F1_THRESHOLD = 0.5

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, single spaces.

    >>> normalise_answer("The  Eiffel-Tower, (Paris)!")
    'eiffeltower paris'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 if the normalised answer equals any normalised gold answer, else 0; NaN without gold.

    >>> exact_match("the Loire.", ["Seine", "Loire"])
    1.0
    """
    if not golds:
        return math.nan
    said = normalise_answer(answer)
    return float(any(said == normalise_answer(gold) for gold in golds))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """The best F1 between the tokens of the answer and of any gold answer; NaN without gold.

    Tokens are counted as a multiset. Two texts without tokens agree (1); one of them alone is 0.

    >>> token_f1("in the year 1889", ["1889"])  # precision 1/3, recall 1
    0.5
    """
    if not golds:
        return math.nan
    said = normalise_answer(answer).split()
    return max(_f1(said, normalise_answer(gold).split()) for gold in golds)


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
