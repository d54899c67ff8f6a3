"""Facts of a prompt's passages, told from the log and the labels."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ragdiag.diagnosis.passage_facts import (
    ContextFacts,
    context_facts,
    dense_scores_are_cosines,
    resemblance,
)
from ragdiag.records import ContextHit, Hit, Request
from ragdiag.version import parse_spec

TEXTS = {
    "tea": "Green tea is brewed at eighty degrees.",
    "tea2": "Green tea is brewed at eighty degrees!",
    "ad": "Buy green tea in our shop.",
    "moon": "The Moon circles the Earth.",
}
REQUEST = Request(
    "r",
    datetime(2026, 1, 5, tzinfo=UTC),
    "v",
    "evaluation",
    "How hot is green tea brewed?",
    lexical=(Hit("tea", 3.0), Hit("ad", 2.0)),
    dense=(Hit("ad", 0.9), Hit("tea", 0.8), Hit("moon", 0.1)),
    context=tuple(ContextHit(name, 1.0, 100) for name in ("tea", "ad", "tea2", "moon", "gone")),
)
JUDGED = {"tea": 2, "ad": 0, "moon": 0}


def facts(*, cosines: bool = True, judged: dict[str, int] = JUDGED) -> ContextFacts:
    return context_facts(REQUEST, TEXTS, judged, cosines=cosines)


def test_a_passage_can_be_similar_and_irrelevant() -> None:
    found = {one.passage_id: one for one in facts().passages}
    assert [name for name, one in found.items() if one.similar_but_irrelevant] == ["ad"]
    assert (found["ad"].cosine, found["ad"].grade) == (0.9, 0)
    assert found["ad"].overlap == 0.4
    # Nothing is claimed without a relevant passage to hold it against, nor of what nobody judged.
    for judged in ({"ad": 0}, {"tea": 1}):
        assert not any(one.similar_but_irrelevant for one in facts(judged=judged).passages)


def test_scores_of_an_unknown_measure_are_no_cosines() -> None:
    assert {one.cosine for one in facts(cosines=False).passages} == {None}

    def of(toml: str) -> bool:
        return dense_scores_are_cosines(
            parse_spec(f"{toml}\n[generator]\nkind = 'extractive'", source="toy")
        )

    assert of("[embedder]")
    assert of("[embedder]\n[ann]\nkind = 'hnsw'")
    assert not of("[embedder]\n[ann]\nkind = 'ivf_pq'")
    assert not of("[embedder]\n[ann]\nreduce = 'pca'\ndimensions = 8")
    assert not of("[lexical]")
    assert not dense_scores_are_cosines(None)


def test_what_is_said_twice_names_the_first() -> None:
    assert [one.repeats for one in facts().passages] == [None, None, "tea", None, None]


def test_every_path_that_brought_a_passage_is_told_with_its_rank() -> None:
    assert [one.ranks for one in facts().passages][:3] == [
        {"lexical": 1, "dense": 2},
        {"lexical": 2, "dense": 1},
        {},
    ]


def test_precision_says_how_much_was_judged() -> None:
    found = facts()
    assert (found.precision, found.judged) == (0.2, pytest.approx(0.6))
    assert math.isnan(facts(judged={}).precision)
    empty = context_facts(replace(REQUEST, context=()), TEXTS, JUDGED, cosines=True)
    assert empty.passages == ()
    assert math.isnan(empty.precision)


def test_a_passage_whose_text_is_unknown_has_no_overlap() -> None:
    assert math.isnan(facts().passages[-1].overlap)
    assert resemblance("", "") == 0.0
    assert resemblance("two words", "two words") == 1.0
