"""Whether an answer's citations carry it: ALCE's citation recall and precision (Gao et al. 2023).

ALCE cites sentence by sentence; a request here cites for the whole answer. So recall asks of each
sentence whether all cited passages together support it, and a citation is precise where it is
relevant to one sentence at least: the sentence is supported, and either this passage alone
supports it, or the others without it do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

Supports = Callable[[int, Sequence[str]], bool]
"""Whether these passages, together, support the sentence of this number."""


class CitationScores(NamedTuple):
    """Shares in 0 … 1. ``precision`` is NaN without citations, both are without sentences."""

    recall: float
    precision: float


def citation_scores(sentences: int, citations: Sequence[str], supports: Supports) -> CitationScores:
    """Score ``citations`` (passage ids; repeats count once) of an answer of so many sentences.

    An answer without citations has recall 0 and no precision.

    >>> says = {"a": {0}, "b": {1}, "c": set()}
    >>> citation_scores(3, ["a", "b", "c"], lambda s, among: any(s in says[p] for p in among))
    CitationScores(recall=0.6666666666666666, precision=0.6666666666666666)
    """
    cited = list(dict.fromkeys(citations))
    if not sentences:
        return CitationScores(math.nan, math.nan)
    if not cited:
        return CitationScores(0.0, math.nan)
    held = [number for number in range(sentences) if supports(number, cited)]
    relevant = sum(any(_matters(n, passage, cited, supports) for n in held) for passage in cited)
    return CitationScores(len(held) / sentences, relevant / len(cited))


def _matters(sentence: int, passage: str, cited: Sequence[str], supports: Supports) -> bool:
    others = [other for other in cited if other != passage]
    return supports(sentence, [passage]) or not (others and supports(sentence, others))
