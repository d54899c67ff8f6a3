"""Passages and retriever of each index build that served requests, to look again as it did."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ragdiag.pipeline import Retriever
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import ContextPassage, Hit, Passage, Request, Retrieval
from ragdiag.retrieval.builds import Index, build_ids, load_index
from ragdiag.retrieval.filters import filter_of
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_build_passages, load_passages
from ragdiag.store.lake import Lake
from ragdiag.store.results import pruned_times
from ragdiag.version import Spec

DEEPER = 10
"""Times the candidates that a path is searched for gold that it did not find (METHODS.md §4b)."""

MOST_CANDIDATES = 10_000


class ServedBuilds:
    """Each build is loaded once, when first needed. Without a spec (another service's log), or once
    a build was pruned, nobody knows what was indexed: there are no passages, and nothing is
    retrieved again."""

    def __init__(self, lake: Lake, workspace: Workspace, spec: Spec | None) -> None:
        self._lake = lake
        self._workspace = workspace
        self._spec = spec
        self._pruned = pruned_times(lake).keys()
        self._passages: dict[str, dict[str, Passage]] = {}
        self._indexes: dict[str, Index] = {}
        self._retrievers: dict[tuple[str, int], Retriever] = {}
        self._is_given = False

    def with_build(
        self, build_id: str, passages: Mapping[str, Passage], retriever: Retriever
    ) -> ServedBuilds:
        """One build that consists of what is given; it cannot be searched deeper."""
        other = copy.copy(self)
        other._passages = {build_id: dict(passages)}
        other._retrievers = {(build_id, 1): retriever}
        other._is_given = True
        return other

    def is_known(self, build_id: str) -> bool:
        """Whether it can be said what was indexed."""
        is_there = build_id in self._passages or build_id not in self._pruned
        return self._spec is not None and is_there

    def passages(self, build_id: str) -> dict[str, Passage]:
        """Passages of a build; of the corpus as it is where the log names no build; empty
        where nobody knows them."""
        if not self.is_known(build_id):
            return {}
        if build_id not in self._passages:
            passages = (
                load_build_passages(self._lake, build_ids(self._workspace, build_id))
                if build_id
                else load_passages(self._lake)
            )
            self._passages[build_id] = {p.passage_id: p for p in passages}
        return self._passages[build_id]

    def whole(self, request: Request) -> Request:
        """The request with the lists that its log cut off, where those can be had."""
        if not self._can_retrieve(request):
            return request
        return with_whole_lists(request, self._retriever(request.build_id))

    def deeper(self, request: Request) -> Callable[[], Retrieval] | None:
        """A search of DEEPER times the candidates; None where the build cannot be searched."""
        if self._is_given or not self._can_retrieve(request):
            return None
        return lambda: self._retriever(request.build_id, DEEPER).retrieve(
            request.question, only=filter_of(request)
        )

    def _can_retrieve(self, request: Request) -> bool:
        told = not is_hidden(request.question)
        return bool(request.build_id) and told and self.is_known(request.build_id)

    def _retriever(self, build_id: str, deeper: int = 1) -> Retriever:
        """Over a build, with so many times the candidates of the spec."""
        key = (build_id, deeper)
        if key not in self._retrievers:
            assert self._spec is not None
            spec = with_depth(self._spec, deeper * self._spec.candidates.depth)
            if build_id not in self._indexes:
                self._indexes[build_id] = load_index(self._workspace, build_id, self._spec)
            self._retrievers[key] = HybridRetriever(self._indexes[build_id], spec)
        return self._retrievers[key]


def with_depth(spec: Spec, depth: int) -> Spec:
    """The same search with so many candidates of each path, as far as a spec allows."""
    candidates = spec.candidates.model_copy(update={"depth": min(depth, MOST_CANDIDATES)})
    return spec.model_copy(update={"candidates": candidates})


def served_context(request: Request, served: Mapping[str, Passage]) -> tuple[ContextPassage, ...]:
    """What the prompt held, as far as the passages are known."""
    return tuple(
        ContextPassage(hit.passage_id, one.text[: hit.chars], one.title, hit.score)
        for hit in request.context
        if (one := served.get(hit.passage_id)) is not None
    )


def with_whole_lists(request: Request, retriever: Retriever) -> Request:
    """The request with the lists that its log cut off, retrieved again from the same build.

    Only where the logged part comes out the same: a path that was broken when it served must not
    be healed by looking again. Otherwise the request is returned as it is.
    """
    again = retriever.retrieve(request.question, only=filter_of(request))
    pairs = (
        (request.lexical, again.lexical),
        (request.dense, again.dense),
        (request.fused, again.fused),
    )
    if not all(_begins_with(whole, logged) for logged, whole in pairs):
        return request
    return replace(
        request, lexical=again.lexical, dense=again.dense, fused=again.fused, logged_depth=None
    )


def _begins_with(whole: Sequence[Hit] | None, logged: Sequence[Hit] | None) -> bool:
    if whole is None or logged is None:
        return whole is logged
    head: Iterator[Hit] = iter(whole)
    return all(hit.passage_id == next(head, Hit("", 0.0)).passage_id for hit in logged)
