"""Does a context hold what its question needs? A probability from local features alone.

| feature     | what it is                                                                     |
|-------------|--------------------------------------------------------------------------------|
| coverage    | share of the question's idf that its best passage covers (extractive.py)       |
| terms       | share of the question's distinct terms that stand anywhere in the context      |
| cosine      | highest cosine of the question with a sentence of the context                  |
| margin      | (s₁ − sₖ)/|s₁| of the passages' scores: how far the first stands out           |
| answer_type | 1 if the three best sentences have the number, date or name that is asked for, |
|             | 0 if not, ½ where the question asks for none                                   |

The weights are learned from diagnosed requests whose gold is known (:func:`label_of`). The label is
what answers showed: 1 where the prompt gave a right answer, or held all gold and gives one once the
passages around it are gone; 0 where only gold that it lacked makes the answer right. Where nothing
was replayed it is whether gold reached the prompt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from ragdiag.generation.extractive import split_context, term_coverage
from ragdiag.generation.sentence_vectors import SentenceVectors
from ragdiag.records import ContextPassage, Diagnosis, Estimate
from ragdiag.retrieval.lexical import tokenise
from ragdiag.stats.cluster_bootstrap import cluster_mean
from ragdiag.stats.clustered_auroc import clustered_auroc
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


LabelSource = Literal["answers", "gold"]
"""What a label rests on: answers to this prompt and to others, or where the gold was alone."""


class Label(NamedTuple):
    sufficient: int
    source: LabelSource


class TooFewLabels(ValueError):
    """There is not enough gold to learn sufficiency from; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """The fit over all labels, and what cross-validation says of it.

    ``brier`` is the mean squared error of the held-out probabilities (0 is perfect), ``floor`` that
    of always saying the base rate; ``bins`` (mean probability, share sufficient, n). The folds and
    both intervals are of ``documents``: how many there are of those that hold the gold, a question
    without one counted by itself; None in a fit of an earlier ragdiag, which took questions.
    """

    model: Logistic
    n: int
    positive: int
    auroc: Estimate
    brier: Estimate
    floor: float
    bins: tuple[tuple[float, float, int], ...]
    documents: int | None = None

    def probability(self, features: Sequence[float]) -> float:
        return float(self.model.probabilities([features])[0])

    def to_json(self) -> dict[str, Any]:
        return {
            "features": list(FEATURES),
            "model": asdict(self.model),
            "n": self.n,
            "documents": self.documents,
            "sufficient": self.positive,
            "auroc": self.auroc.to_json(),
            "brier": self.brier.to_json(),
            "brier_of_base_rate": self.floor,
            "bins": [list(one) for one in self.bins],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Sufficiency:
        """What :meth:`to_json` wrote, or that of an earlier ragdiag, which kept no interval of the
        Brier score and folded by question. Raises ValueError where the features were others."""
        if tuple(document["features"]) != FEATURES:
            raise ValueError("fitted on other features")
        model = document["model"]
        lists = {name: tuple(model[name]) for name in ("means", "scales", "weights")}
        return cls(
            Logistic(**lists, offset=model["offset"]),
            document["n"],
            document["sufficient"],
            Estimate.from_json(document["auroc"]),
            _brier(document["brier"], document["n"]),
            document["brier_of_base_rate"],
            tuple((low, high, n) for low, high, n in document["bins"]),
            document.get("documents"),
        )


def label_of(found: Diagnosis) -> Label | None:
    """Whether the context of a diagnosed request sufficed; None where that is not known: nothing
    that was tried made the answer right, no context was needed, or no gold is known or believed.

    >>> evidence = {"y": 0, "level": {"r": "low", "g": "high"}}
    >>> label_of(Diagnosis("r", "recall_miss", "retrieval", "g", "A", evidence))
    Label(sufficient=0, source='answers')
    """
    if found.cause in ("gold_unknown", "gold_withheld") or found.tier not in ("A", "B"):
        return None
    if found.verdict == "label_suspect":
        return None
    level = found.evidence.get("level") or {}
    has_gold = found.cause == "in_context"
    if found.evidence.get("y") == 1:
        if level.get("none") == "high":
            return None
        shown = has_gold or level.get("none") == "low"
        return Label(1, "answers") if shown else Label(0, "gold")
    if "r" not in level:
        return Label(int(has_gold), "gold")
    if level["r"] == "high":
        return Label(1, "answers")
    if level["r"] != "low" or "high" not in (level.get("g"), level.get("g+")):
        return None
    if not has_gold:
        return Label(0, "answers")
    held = found.evidence.get("gold_recall@context")
    return Label(1, "answers") if level.get("g") == "high" and held == 1 else None


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
    owners: Sequence[Hashable],
    seed: int = 0,
) -> Sufficiency:
    """Fit on all rows (n, len(FEATURES)), judged by folds that share none of ``owners``: the
    document that a row's gold is of, whose text its features and its label go with.

    Raises TooFewLabels below LEAST_LABELS rows or LEAST_OF_EACH of a kind, or with too few owners.
    """
    n, positive = len(labels), sum(labels)
    if n < LEAST_LABELS or min(positive, n - positive) < LEAST_OF_EACH:
        raise TooFewLabels(
            f"of {n} requests it is known whether the prompt sufficed, {positive} did and "
            f"{n - positive} did not; {LEAST_LABELS} and {LEAST_OF_EACH} of each kind are needed"
        )
    try:
        held = held_out(features, labels, owners, seed)
    except ValueError as error:
        raise TooFewLabels(f"folds of whole documents cannot be judged: {error}") from None
    truth, rate = np.array(labels, dtype=float), positive / n
    return Sufficiency(
        fit_logistic(features, labels),
        n,
        positive,
        clustered_auroc(held.tolist(), labels, owners),
        cluster_mean(((held - truth) ** 2).tolist(), owners, seed),
        rate * (1 - rate),
        tuple(calibration_bins(held.tolist(), labels)),
        len(set(owners)),
    )


def _brier(kept: Mapping[str, Any] | float, n: int) -> Estimate:
    if isinstance(kept, Mapping):
        return Estimate.from_json(kept)
    return Estimate(kept, math.nan, math.nan, n)


def _margin(scores: Sequence[float]) -> float:
    return (scores[0] - scores[-1]) / abs(scores[0]) if scores and scores[0] else 0.0


def _answer_type(question: str, text: str) -> float:
    for asks, answers in _ASKED:
        if asks.search(question):
            return float(answers.search(text) is not None)
    return 0.5
