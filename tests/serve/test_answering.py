"""One question through cache and pipeline, with toy parts: what is computed, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ragdiag.caching.answers import AnswerCache
from ragdiag.errors import InputError
from ragdiag.pipeline import Pipeline
from ragdiag.records import Answer, ContextPassage, Passage, PassageMetadata
from ragdiag.retrieval.builds import build_index, load_index
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.serve.answering import Asked, answer, search
from ragdiag.serve.fleet import Served
from ragdiag.settings import Workspace
from ragdiag.version import Spec, Version
from tests.retrieval.conftest import make_spec as make_spec
from tests.retrieval.conftest import passages as passages
from tests.retrieval.conftest import toy_encoder as toy_encoder

QUESTION = "how does the virus spread"
NEAR = "How does a virus spread?"
SEMANTIC: dict[str, Any] = {
    "embedder": {"title": False},
    "lexical": {"title": False},
    "cache": {"kind": "semantic", "similarity": 0.5},
}
Serve = Callable[..., Served]


class Counting:
    name = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        self.asked.append(question)
        return Answer(context[0].text, (context[0].passage_id,))


@pytest.fixture
def generator() -> Counting:
    return Counting()


@pytest.fixture
def serve(
    workspace: Workspace,
    passages: list[Passage],
    toy_encoder: Any,
    make_spec: Callable[..., Spec],
    generator: Counting,
) -> Serve:
    def make(**tables: Any) -> Served:
        spec = make_spec(**tables)
        index = load_index(workspace, build_index(passages, spec, workspace).build_id, spec)
        pipeline = Pipeline(
            Version("toy", spec),
            index.build_id,
            HybridRetriever(index, spec, toy_encoder if spec.embedder else None),
            Packer({one.passage_id: one for one in passages}, spec.context, load_tokenizer()),
            generator,
        )
        return Served(pipeline, None if spec.cache is None else AnswerCache(spec.cache))

    return make


def test_a_semantic_hit_embeds_once_and_so_does_a_miss(
    serve: Serve, toy_encoder: Any, generator: Counting
) -> None:
    served = serve(**SEMANTIC)
    toy_encoder.encoded.clear()
    first = answer(served, Asked(QUESTION), "production")
    assert toy_encoder.encoded == [QUESTION]
    assert first.latency_ms.keys() == {"embed", "lexical", "dense", "fusion", *LAST}
    assert first.latency_ms["total"] >= first.latency_ms["embed"]
    near = answer(served, Asked(NEAR, question_id="q2"), "production")
    assert (near.question_id, toy_encoder.encoded) == ("q2", [QUESTION, NEAR])
    assert (near.cache_hit, near.answer, generator.asked) == (True, first.answer, [QUESTION])
    assert near.latency_ms.keys() == {"embed", "total"}
    same = answer(served, Asked(QUESTION.upper()), "production")
    assert (same.cache_hit, toy_encoder.encoded) == (True, [QUESTION, NEAR])
    assert same.latency_ms.keys() == {"total"}


LAST = ("packing", "generation", "total")


def test_an_embedder_that_is_down_costs_the_cache_nothing_but_its_neighbours(
    serve: Serve, toy_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(**SEMANTIC, degradation={})
    well = answer(served, Asked(QUESTION), "production")

    def fail(texts: Sequence[str], progress: object = None) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(toy_encoder, "encode", fail)
    assert answer(served, Asked(QUESTION), "production").answer == well.answer
    for _ in range(2):
        degraded = answer(served, Asked(NEAR), "production")
        assert (degraded.cache_hit, degraded.degraded_reason) == (False, "embed: RuntimeError")
        assert degraded.dense is None


def test_without_a_cache_every_question_is_answered_anew(serve: Serve, generator: Counting) -> None:
    served = serve(lexical={"title": False})
    for _ in range(2):
        assert not answer(served, Asked(QUESTION), "production").cache_hit
    assert generator.asked == [QUESTION] * 2


def test_words_that_every_text_has_are_refused_where_words_are_all_there_is(
    serve: Serve,
) -> None:
    served = serve(lexical={"title": False})
    for ask in (
        lambda: answer(served, Asked("is it of the"), "production"),
        lambda: search(served, Asked("is it of the")),
    ):
        with pytest.raises(InputError, match="is one letter long or in nearly every text"):
            ask()
    dense = replace(serve(embedder={"title": False}), cache=None)
    assert answer(dense, Asked("is it of the"), "production").status == "ok"


def test_a_search_gives_whole_lists_and_asks_no_generator(
    serve: Serve, generator: Counting
) -> None:
    found = search(serve(**SEMANTIC), Asked(QUESTION))
    assert found.logged_depth is None
    assert found.fused
    assert generator.asked == []


def test_the_user_or_else_the_request_decides_who_answers() -> None:
    assert Asked(QUESTION, user="ada").key == "ada"
    one, other = Asked(QUESTION), Asked(QUESTION)
    assert one.key == one.request_id != other.key


@pytest.mark.parametrize("tables", [{"lexical": {}}, SEMANTIC], ids=["words", "cache"])
def test_what_is_a_tenants_is_found_and_read_for_the_tenant_alone(
    tables: dict[str, Any], serve: Serve, passages: list[Passage]
) -> None:
    passages[1] = replace(passages[1], metadata=PassageMetadata(tenant="acme", roles=("staff",)))
    served = serve(**tables)
    staff = frozenset({"staff"})
    for tenant, roles, own in (("acme", staff, True), (None, staff, False), ("acme", (), False)):
        asked = Asked(QUESTION, tenant=tenant, roles=frozenset(roles))
        for hits in (search(served, asked).fused, answer(served, asked, "production").context):
            assert hits
            assert ("p1" in {hit.passage_id for hit in hits}) == own
