"""How often the answer cache takes a question for another one, on public BEIR folders.

    python -m benchmarks.cache_matches ../shared/data/covidqa [MORE_FOLDERS…]

Every question of every split is looked up among all others (those before it, and in a second pass
those after it). A match is false where no gold passage is shared; "same words" are the false ones
that differ in case and spacing at most, which no cache can tell apart. Rates are of all questions,
with 95 % Wilson intervals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ragdiag.caching.answers import AnswerCache, Scope
from ragdiag.caching.wording import normalise
from ragdiag.records import Request
from ragdiag.retrieval.embed import Vectors, load_embedder
from ragdiag.stats.intervals import wilson
from ragdiag.version import PACKAGED_MODEL, CacheSpec

SCOPE = Scope("v", "b")
SETTINGS = (
    CacheSpec(size=100_000),
    *(
        CacheSpec(kind="semantic", similarity=similarity, strict=strict, size=100_000)
        for strict in (False, True)
        for similarity in (0.90, 0.95, 0.97, 0.99)
    ),
)


def main(folders: Sequence[str]) -> None:
    print("| set | cache | matched | false | same words | false-match rate, % |")
    print("|---|---|---|---|---|---|")
    for folder in map(Path, folders):
        questions = _read_questions(folder)
        gold = _read_gold(folder)
        texts = list(questions.values())
        vectors = dict(zip(questions, load_embedder(PACKAGED_MODEL).encode(texts), strict=True))
        for spec in SETTINGS:
            _print_row(folder.name, spec, questions, gold, vectors)


def _print_row(
    name: str,
    spec: CacheSpec,
    questions: Mapping[str, str],
    gold: Mapping[str, set[str]],
    vectors: Mapping[str, Vectors],
) -> None:
    order = list(questions)
    found = _matches(order, spec, questions, vectors) | _matches(
        order[::-1], spec, questions, vectors
    )
    false = {pair for pair in found if not gold[pair[0]] & gold[pair[1]]}
    falsely = {asked for asked, _ in false}
    same = {
        asked for asked, kept in false if normalise(questions[asked]) == normalise(questions[kept])
    }
    kind = spec.kind
    if kind == "semantic":
        kind += f" ≥ {spec.similarity:.2f}{', strict' if spec.strict else ''}"
    rate = wilson(len(falsely), len(order))
    print(
        f"| {name}, n = {len(order)} | {kind} | {len({asked for asked, _ in found})} "
        f"| {len(falsely)} | {len(same)} "
        f"| {100 * rate.value:.2f} ({100 * rate.low:.2f}–{100 * rate.high:.2f}) |",
        flush=True,
    )


def _matches(
    order: Sequence[str],
    spec: CacheSpec,
    questions: Mapping[str, str],
    vectors: Mapping[str, Vectors],
) -> set[tuple[str, str]]:
    """(asked, whose answer it got) of every question that one before it in ``order`` answers."""
    cache = AnswerCache(spec)
    found = set()
    for query_id in order:
        vector = vectors[query_id] if cache.needs_vectors else None
        kept = cache.find(SCOPE, questions[query_id], vector)
        if kept is not None:
            found.add((query_id, kept.request_id))
        request = Request(
            query_id, datetime.now(UTC), "v", "production", questions[query_id], build_id="b"
        )
        cache.keep(SCOPE, request, vector)
    return found


def _read_questions(folder: Path) -> dict[str, str]:
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["_id"]: row["text"] for row in map(json.loads, lines)}


def _read_gold(folder: Path) -> dict[str, set[str]]:
    gold: dict[str, set[str]] = {}
    for path in sorted((folder / "qrels").glob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            query_id, passage_id, grade = line.split("\t")
            gold.setdefault(query_id, set())
            if int(grade) > 0:
                gold[query_id].add(passage_id)
    return gold


if __name__ == "__main__":
    main(sys.argv[1:])
