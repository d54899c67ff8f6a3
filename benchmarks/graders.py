"""Graders against people on public labelled answers, as Markdown tables.

    python -m benchmarks.graders ../shared/data [--encoder]

``clapnq_human_eval``: 300 answers (without the reference answers), three annotators on faithfulness
(1 … 4); faithful is a mean of 2.5 or more; differences of AUROC are resampled by question.
``ragchecker``: 280 pairs of answers, two annotators' preference (−2 … 2); the correlation is that
of the difference of a grader's scores with the preference, once with each annotation and once with
their mean.
``--encoder`` adds the graders that need the packaged model (minutes instead of seconds).
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ragdiag.grading.contract import Grader, Item
from ragdiag.grading.groundedness import (
    ENCODER,
    LEXICAL,
    GroundednessGrader,
    encoder_support,
    lexical_support,
)
from ragdiag.grading.new_words import NewWordsSupport
from ragdiag.grading.rules import rule_grader
from ragdiag.grading.semantic import SemanticGrader, packaged_vectors
from ragdiag.records import ContextPassage, Estimate, Grade
from ragdiag.stats.agreement import agreement, auroc
from ragdiag.stats.intervals import Z95

RESAMPLES = 2000
WORD = re.compile(r"\w+")
PREFERENCES = ("overall", "correctness", "completeness")
MEASURES = ("auroc", "accuracy", "kappa", "sensitivity", "specificity")


def main(arguments: list[str]) -> None:
    folder, with_encoder = Path(arguments[0]), "--encoder" in arguments
    for kind in ("ANSWERABLE", "UNANSWERABLE"):
        path = folder / "clapnq_human_eval" / "clapnq_rag_model_performance.json"
        faithful(path, kind, with_encoder)
    preferred(folder / "ragchecker", with_encoder)


def faithful(path: Path, kind: str, with_encoder: bool) -> None:
    """Groundedness graders on ClapNQ's answers, beside the share of an answer's words that its
    passages hold, refusals scored as any answer: the floor that the data's own baseline gives."""
    rows, items, labels = read_faithful(path, kind)
    print(
        f"## Faithfulness: clapnq_human_eval, {kind.lower()} questions, n = {len(rows)}, "
        f"{sum(labels)} faithful\n"
    )
    columns = ("grader", "decided", "auroc of all", *MEASURES, "more than precision", "more of all")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    graders: list[Grader] = [
        GroundednessGrader("grounded_lexical", lexical_support, LEXICAL),
        NewWordsSupport(),
    ]
    if with_encoder:
        support = encoder_support(packaged_vectors())
        graders.append(GroundednessGrader("grounded_encoder", support, ENCODER))
    words = [_token_precision(item) for item in items]
    questions = [row["task_id"] for row in rows]
    for grader in graders:
        grades = grader.grade(items)
        scores = [g.score for g in grades]
        found = agreement([g.y for g in grades], labels, scores)
        both = [
            (word, score, label, question)
            for word, score, label, question in zip(words, scores, labels, questions, strict=True)
            if score is not None
        ]
        ranked = undecided_between(grades)
        cells = [
            str(len(both)),
            _shown(auroc(ranked, labels)),
            *(_shown(getattr(found, m)) for m in MEASURES),
            _more(*map(list, zip(*both, strict=True))) if both else "–",
            _more(words, ranked, labels, questions),
        ]
        print(f"| {grader.name} | {' | '.join(cells)} |")
    published = [row["scores"]["Bert-KPrec"]["system"]["value"] for row in rows]
    for name, whole in (("token precision", words), ("BertKPrec, as published", published)):
        everyone = _shown(auroc(whole, labels))
        cells = [str(len(rows)), everyone, everyone, *["–"] * (len(MEASURES) + 1)]
        print(f"| {name} | {' | '.join(cells)} |")
    print(flush=True)


def undecided_between(grades: Sequence[Grade]) -> list[float]:
    """Scores of all, where what has none ranks above all that the grader calls wrong and below all
    that it calls right: it is undecided, so neither."""
    wrong = max((g.score for g in grades if g.y == 0 and g.score is not None), default=0.0)
    right = min((g.score for g in grades if g.y == 1 and g.score is not None), default=1.0)
    return [(wrong + right) / 2 if g.score is None else g.score for g in grades]


def _more(
    words: Sequence[float], scores: Sequence[float], labels: Sequence[int], questions: Sequence[str]
) -> str:
    """AUROC of ``scores`` less that of ``words``, its interval by resampling questions."""
    chance, y = np.random.default_rng(0), np.array(labels)
    of = {q: np.flatnonzero(np.array(questions) == q) for q in dict.fromkeys(questions)}
    both, names = np.array([words, scores]), list(of)

    def difference(rows: np.ndarray[Any, Any]) -> float:
        one, other = (auroc(list(each[rows]), list(y[rows])).value for each in both)
        return other - one

    drawn = (
        np.concatenate([of[names[at]] for at in chance.integers(len(names), size=len(names))])
        for _ in range(RESAMPLES)
    )
    found = [difference(rows) for rows in drawn if 0 < y[rows].sum() < len(rows)]
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{difference(np.arange(len(y))):+.3f} ({low:+.3f} to {high:+.3f})"


def read_faithful(
    path: Path, kind: str = "ANSWERABLE"
) -> tuple[list[dict[str, Any]], list[Item], list[int]]:
    """ClapNQ's rows, what a grader sees of each, and whether people find it faithful."""
    document = json.loads(path.read_text(encoding="utf-8"))
    tasks = {task["task_id"]: task for task in document["tasks"]}
    texts = {one["document_id"]: one["text"] for one in document["documents"]}
    rows = [
        row
        for row in document["results"]
        if tasks[row["task_id"]]["answerability"] == kind and row["model_id"] != "target"
    ]
    items = [_clapnq_item(row, tasks[row["task_id"]], texts) for row in rows]
    return rows, items, [int(_mean_faithfulness(row) >= 2.5) for row in rows]


def preferred(folder: Path, with_encoder: bool) -> None:
    """Graders of correctness on RAGChecker's pairs."""
    pairs, people = read_preferred(folder)
    annotations = sum(map(len, people["overall"]))
    print(f"## Preference: ragchecker, {len(pairs)} pairs, {annotations} annotations\n")
    print("| grader | " + " | ".join(PREFERENCES) + " | overall, mean of two |")
    print("|---" * (len(PREFERENCES) + 2) + "|")
    # No long answer equals or contains another: the rules that ask for that say nothing here.
    names = ("numeric", "token_f1", "content_f1", "new_words_f1")
    graders: list[Grader] = [rule_grader(name, None) for name in names]
    if with_encoder:
        graders.append(SemanticGrader(packaged_vectors()))
    for grader in graders:
        _row(grader.name, score_differences(grader, pairs), people)
    published = json.loads((folder / "baseline_ragchecker.json").read_text(encoding="utf-8"))
    by_id = {
        row["instance_id"]: [row[m]["ragchecker"]["overall_label"] for m in ("model1", "model2")]
        for row in published
    }
    scores = [by_id[pair["instance_id"]] for pair in pairs]
    _row("RAGChecker's overall score, as published", [b - a for a, b in scores], people)


def read_preferred(folder: Path) -> tuple[list[dict[str, Any]], dict[str, list[list[int]]]]:
    """RAGChecker's pairs, and by kind of preference what each annotator said of each."""
    annotated: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in json.loads((folder / "human_labeled_data.json").read_text(encoding="utf-8")):
        annotated[row["instance_id"]].append(row)
    people = {
        name: [[row[f"{name}_label"] for row in rows] for rows in annotated.values()]
        for name in PREFERENCES
    }
    return [rows[0] for rows in annotated.values()], people


def score_differences(grader: Grader, pairs: Sequence[dict[str, Any]]) -> list[float]:
    """Score of the second answer less that of the first; NaN where one is undefined."""
    items = [
        Item(str(n), pair["query"], pair[model]["response"], golds=(pair["gt_answer"],))
        for n, pair in enumerate(pairs)
        for model in ("model1", "model2")
    ]
    scores = [math.nan if g.score is None else g.score for g in grader.grade(items)]
    return [b - a for a, b in zip(scores[::2], scores[1::2], strict=True)]


def pearson(x: Sequence[float], y: Sequence[float], each: int = 1) -> Estimate:
    """Pearson's r with its interval by Fisher's z, where ``each`` values in a row are of one pair
    of answers and count once for the interval; values with a NaN are left out."""
    kept = [(a, b) for a, b in zip(x, y, strict=True) if not math.isnan(a)]
    n = len(kept) // each
    if n < 4 or len({a for a, _ in kept}) == 1:
        return Estimate.undefined("no spread", n=n)
    r = float(np.corrcoef(np.array(kept).T)[0, 1])
    half = Z95 / math.sqrt(n - 3)
    return Estimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), n)


def annotated_pearson(differences: Sequence[float], people: Sequence[Sequence[int]]) -> Estimate:
    """The correlation with every single annotation; each pair of answers has as many."""
    each = [(d, v) for d, said in zip(differences, people, strict=True) for v in said]
    return pearson([d for d, _ in each], [v for _, v in each], len(people[0]))


def _row(name: str, differences: Sequence[float], people: dict[str, list[list[int]]]) -> None:
    cells = [_shown(annotated_pearson(differences, people[kind])) for kind in PREFERENCES]
    means = [float(np.mean(said)) for said in people["overall"]]
    cells.append(_shown(pearson(differences, means)))
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _clapnq_item(row: dict[str, Any], task: dict[str, Any], texts: dict[str, str]) -> Item:
    given = [one["document_id"] for one in task["contexts"]]
    return Item(
        row["task_id"],
        task["input"][0]["text"],
        row["output"][0]["content"],
        context=tuple(ContextPassage(name, texts[name]) for name in given),
    )


def _token_precision(item: Item) -> float:
    """The share of an answer's words that stand in its passages."""
    held = set(WORD.findall(" ".join(passage.text for passage in item.context).lower()))
    answer = WORD.findall(item.answer.lower())
    return sum(word in held for word in answer) / max(len(answer), 1)


def _mean_faithfulness(row: dict[str, Any]) -> float:
    said = row["scores"]["faithfulness"].values()
    return sum(int(one["value"]) for one in said) / len(said)


def _shown(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return f"– ({estimate.reason})"
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"


if __name__ == "__main__":
    main(sys.argv[1:])
