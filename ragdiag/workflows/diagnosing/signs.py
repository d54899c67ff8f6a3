"""What is read of a request where gold is missing: who holds its answer, and tier D's three signs.

The packaged encoder and the sufficiency model are loaded when a request first needs them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property

from ragdiag.diagnosis.sufficiency import Sufficiency, features_of
from ragdiag.diagnosis.tiers import Signs, holders
from ragdiag.generation.sentence_vectors import SentenceVectors, shared_vectors
from ragdiag.grading.contract import Item
from ragdiag.grading.groundedness import LEXICAL, GroundednessGrader, lexical_support
from ragdiag.metrics.answers import normalise_answer
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import RANKED_STAGES, ContextPassage, Feedback, Passage, Request
from ragdiag.store.contexts import load_contexts
from ragdiag.store.lake import Lake
from ragdiag.store.queries import passages_at
from ragdiag.store.signals import load_feedback
from ragdiag.store.validations import load_sufficiency
from ragdiag.workflows.indexing.served_builds import served_context


class SignReader:
    """``served`` are the passages of the build that served; empty where nobody knows what
    was indexed: then the texts of what was retrieved are looked up."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._grounded = GroundednessGrader("grounded_lexical", lexical_support, LEXICAL)
        self._normal: tuple[int, dict[str, str]] = (0, {})

    def anew(self) -> SignReader:
        """The same reader for another build."""
        other = copy.copy(self)
        other._normal = (0, {})
        return other

    def reported(self, request: Request) -> bool | None:
        """Whether feedback calls the answer bad; None where nobody has judged it."""
        told = [bad for one in load_feedback(self._lake, [request.request_id]) for bad in _bad(one)]
        return any(told) if told else None

    def holders(
        self, request: Request, served: Mapping[str, Passage], answers: Sequence[str]
    ) -> list[Passage]:
        """The passages that hold an accepted answer: of the build, else of what was retrieved."""
        if not served:
            seen = self._retrieved(request)
            return [seen[name] for name in holders(_normalised(seen), answers)]
        if self._normal[0] != id(served):  # a whole corpus is normalised once, not per request
            self._normal = (id(served), _normalised(served))
        return [served[name] for name in holders(self._normal[1], answers)]

    def without_gold(
        self, request: Request, served: Mapping[str, Passage], reported: bool | None
    ) -> Signs:
        """Tier D's signs. An answer is grounded where its words stand in the context."""
        context = self._context(request, served)
        item = Item(request.request_id, "", request.answer, request.status, context=context or ())
        grade = self._grounded.grade([item])[0]
        features = self.features(request, served) if self._model is not None else None
        return Signs(
            grounded=None if grade.y is None else grade.y == 1,
            sufficient=None
            if self._model is None or features is None
            else self._model.probability(features),
            reported=reported,
        )

    def features(self, request: Request, served: Mapping[str, Passage]) -> tuple[float, ...] | None:
        """What sufficiency is estimated from; None where a text of the context is not known."""
        context = self._context(request, served)
        if context is None or is_hidden(request.question):
            return None
        return features_of(request.question, context, self._vectors)

    def _context(
        self, request: Request, served: Mapping[str, Passage]
    ) -> tuple[ContextPassage, ...] | None:
        if served:
            found = served_context(request, served)
            return found if len(found) == len(request.context) else None
        return load_contexts(self._lake, [request]).get(request.request_id)

    def _retrieved(self, request: Request) -> dict[str, Passage]:
        lists = (getattr(request, stage) or () for stage in RANKED_STAGES)
        names = sorted({hit.passage_id for hits in lists for hit in hits})
        known = passages_at(self._lake, names, request.asked_at)
        return {
            name: Passage(name, name, row["text"])
            for name, row in known.items()
            if not is_hidden(row["text"])
        }

    @cached_property
    def _model(self) -> Sufficiency | None:
        found = load_sufficiency(self._lake)
        return None if found is None else Sufficiency.from_json(found)

    @cached_property
    def _vectors(self) -> SentenceVectors:
        from ragdiag.retrieval.embed import load_embedder
        from ragdiag.version import EmbedderSpec

        return shared_vectors(load_embedder(EmbedderSpec()))


def _normalised(passages: Mapping[str, Passage]) -> dict[str, str]:
    return {name: normalise_answer(passage.text) for name, passage in passages.items()}


def _bad(feedback: Feedback) -> list[bool]:
    """What one piece of feedback says of the answer; a click says nothing."""
    if feedback.kind == "click":
        return []
    return [feedback.value <= 0]
