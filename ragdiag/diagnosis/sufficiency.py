"""Does a context hold what its question needs? A probability from local features alone.

| feature     | what it is                                                                     |
|-------------|--------------------------------------------------------------------------------|
| coverage    | share of the question's idf that its best passage covers (extractive.py)       |
| terms       | share of the question's distinct terms that stand anywhere in the context      |
| cosine      | highest cosine of the question with a sentence of the context                  |
| margin      | (s₁ − sₖ)/|s₁| of the passages' scores: how far the first stands out           |
| answer_type | 1 if the three best sentences have the number, date or name that is asked for, |
|             | 0 if not, ½ where the question asks for none                                   |

The weights are learned from requests whose gold is known: label 1 where gold reached the prompt
(gold ∈ r), which is what sufficiency stands in for where there is no gold.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ragdiag.generation.extractive import split_context, term_coverage
from ragdiag.generation.sentence_vectors import SentenceVectors
from ragdiag.records import ContextPassage, Estimate
from ragdiag.retrieval.lexical import tokenise
from ragdiag.stats.agreement import auroc
from ragdiag.stats.logistic import Logistic, calibration_bins, fit_logistic, held_out

FEATURES = ("coverage", "terms", "cosine", "margin", "answer_type")

LEAST_LABELS = 60
LEAST_OF_EACH = 12
"""Labels without which nothing is fitted: of five folds each must hold some of either kind."""

_ASKED = (
    (re.compile(r"\b(when|what (year|date|day)|since when)\b", re.I), re.compile(r"\b\d{4}\b")),
    (
        re.compile(r"\b(how (many|much|long|old|far|hot|often|large|big)|number of)\b", re.I),
        re.compile(r"\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|[a-z]+teen)\b", re.I),
    ),
    (re.compile(r"\b(who|whom|whose|where)\b", re.I), re.compile(r"(?<=[a-z,] )[A-Z]\w+")),
)


class TooFewLabels(ValueError):
    """There is not enough gold to learn sufficiency from; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """The fit over all labels, and what cross-validation says of it.

    ``brier`` is the mean squared error of the held-out probabilities (0 is perfect), ``floor`` that
    of always saying the base rate; ``bins`` (mean probability, share sufficient, n).
    """

    model: Logistic
    n: int
    positive: int
    auroc: Estimate
    brier: float
    floor: float
    bins: tuple[tuple[float, float, int], ...]

    def probability(self, features: Sequence[float]) -> float:
        return float(self.model.probabilities([features])[0])

    def to_json(self) -> dict[str, Any]:
        return {
            "features": list(FEATURES),
            "model": asdict(self.model),
            "n": self.n,
            "sufficient": self.positive,
            "auroc": self.auroc.to_json(),
            "brier": self.brier,
            "brier_of_base_rate": self.floor,
            "bins": [list(one) for one in self.bins],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Sufficiency:
        """What :meth:`to_json` wrote. Raises ValueError where the features were others."""
        if tuple(document["features"]) != FEATURES:
            raise ValueError("fitted on other features")
        model = document["model"]
        lists = {name: tuple(model[name]) for name in ("means", "scales", "weights")}
        return cls(
            Logistic(**lists, offset=model["offset"]),
            document["n"],
            document["sufficient"],
            Estimate.from_json(document["auroc"]),
            document["brier"],
            document["brier_of_base_rate"],
            tuple((low, high, n) for low, high, n in document["bins"]),
        )


def features_of(
    question: str, context: Sequence[ContextPassage], vectors: SentenceVectors
) -> tuple[float, ...]:
    """The module's features, in the order of FEATURES; all 0 (answer_type ½ or 0) for no context.

    ``vectors`` is the packaged encoder's, so that a probability means the same for every version.
    """
    sentences = [candidate.text for candidate in split_context(context)]
    if not sentences:
        return (0.0, 0.0, 0.0, 0.0, _answer_type(question, ""))
    texts = [passage.text for passage in context]
    wanted = set(tokenise(question, "en"))
    held = {term for text in texts for term in tokenise(text, "en")}
    encoded = vectors.of([question, *sentences])
    cosines = encoded[1:] @ encoded[0]
    best = [sentences[at] for at in np.argsort(-cosines, kind="stable")[:3]]
    return (
        float(term_coverage(question, texts).max()),
        len(wanted & held) / len(wanted) if wanted else 0.0,
        float(cosines.max()),
        _margin([passage.score for passage in context]),
        _answer_type(question, " ".join(best)),
    )


def calibrate(
    features: Sequence[Sequence[float]],
    labels: Sequence[int],
    questions: Sequence[Hashable],
    seed: int = 0,
) -> Sufficiency:
    """Fit on all rows (n, len(FEATURES)), judged by folds that share no question.

    Raises TooFewLabels below LEAST_LABELS rows or LEAST_OF_EACH of a kind.
    """
    n, positive = len(labels), sum(labels)
    if n < LEAST_LABELS or min(positive, n - positive) < LEAST_OF_EACH:
        raise TooFewLabels(
            f"{n} requests have known gold, {positive} with gold in the prompt and {n - positive} "
            f"without; {LEAST_LABELS} and {LEAST_OF_EACH} of each kind are needed"
        )
    try:
        held = held_out(features, labels, questions, seed)
    except ValueError as error:
        raise TooFewLabels(f"the folds cannot be judged: {error}") from None
    truth, rate = np.array(labels, dtype=float), positive / n
    return Sufficiency(
        fit_logistic(features, labels),
        n,
        positive,
        auroc(held.tolist(), labels),
        float(np.mean((held - truth) ** 2)),
        rate * (1 - rate),
        tuple(calibration_bins(held.tolist(), labels)),
    )


def _margin(scores: Sequence[float]) -> float:
    return (scores[0] - scores[-1]) / abs(scores[0]) if scores and scores[0] else 0.0


def _answer_type(question: str, text: str) -> float:
    for asks, answers in _ASKED:
        if asks.search(question):
            return float(answers.search(text) is not None)
    return 0.5
