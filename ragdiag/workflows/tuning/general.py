"""Pairs of the general domain, mixed in so that a model does not forget what it knew."""

from __future__ import annotations

from pathlib import Path
from random import Random

from ragdiag.errors import InputError
from ragdiag.importers.beir import read_pairs
from ragdiag.importers.jsonl import Row, Text, read_rows
from ragdiag.records import Passage, Question
from ragdiag.retrieval.vectors import passage_text
from ragdiag.training.data.examples import Pair, TrainingSet


class _PairRow(Row):
    question: Text
    passage: Text


def read_general(path: Path, *, title: bool) -> TrainingSet:
    """The pairs of a JSONL file of {"question", "passage"}, or of the train split of a BEIR folder;
    ``title`` puts a passage's title in front. Raises InputError where there is none."""
    found = read_pairs(path) if path.is_dir() else _read_lines(path)
    if not found:
        raise InputError(
            f"{path} holds no pair to mix in",
            remedy='give a JSONL file of {"question": …, "passage": …}, or a BEIR folder with '
            "qrels/train.tsv",
        )
    pairs = [
        Pair(f"general:{q.question_id}", q.text, f"general:{p.passage_id}", "general")
        for q, p in found
    ]
    texts = {f"general:{p.passage_id}": passage_text(p, title=title) for _, p in found}
    return TrainingSet(pairs, texts)


def drawn(general: TrainingSet, most: int, seed: int) -> TrainingSet:
    """At most so many pairs, at random under ``seed``, with their texts."""
    pairs = Random(seed).sample(list(general.pairs), min(most, len(general.pairs)))
    return TrainingSet(pairs, {pair.passage_id: general.texts[pair.passage_id] for pair in pairs})


def _read_lines(path: Path) -> list[tuple[Question, Passage]]:
    rows, rejects = read_rows(path, _PairRow, lambda row: None)
    if rejects:
        first = rejects[0]
        raise InputError(
            f"line {first.line} of {path} is no pair ({first.reason})",
            remedy='mend it: {"question": …, "passage": …}',
        )
    return [
        (Question(f"{at}", one.row.question), Passage(f"{at}", f"{at}", one.row.passage))
        for at, one in enumerate(rows, start=1)
    ]
