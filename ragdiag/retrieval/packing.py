"""Ranked passages to a prompt's context: the first k, as many tokens as there is room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragdiag.errors import IndexFault
from ragdiag.records import ContextHit, ContextPassage, Hit, Passage
from ragdiag.retrieval.text import TokenCounter, sentence_spans
from ragdiag.version import ContextSpec


class Packer:
    """Packs by rank order; what does not fit is cut at a sentence end and ends the context."""

    def __init__(
        self, passages: Mapping[str, Passage], spec: ContextSpec, tokens: TokenCounter
    ) -> None:
        """``tokens`` counts titles and texts; prompts add their own words on top."""
        self._passages, self._spec, self._tokens = passages, spec, tokens

    def pack(self, hits: Sequence[Hit]) -> tuple[ContextPassage, ...]:
        """The first ``k`` hits until ``max_tokens``; a passage's kept text is a prefix of it.

        The passage that does not fit whole is cut after its last sentence that does, or left out
        if not one does; no passage follows it. Raises IndexFault for a hit without a passage.
        """
        room = self._spec.max_tokens
        packed: list[ContextPassage] = []
        for hit in hits[: self._spec.k]:
            passage = self._passage(hit.passage_id)
            room -= self._tokens.count(passage.title)
            needed = self._tokens.count(passage.text)
            kept = passage.text if needed <= room else self._cut(passage.text, room)
            if kept:
                packed.append(
                    ContextPassage(passage.passage_id, kept, title=passage.title, score=hit.score)
                )
            if needed > room:
                break
            room -= needed
        return tuple(packed)

    def read(self, context: Sequence[ContextHit]) -> tuple[ContextPassage, ...]:
        """The passages of a context as they were packed. Raises IndexFault as :meth:`pack`."""
        found = [(self._passage(hit.passage_id), hit) for hit in context]
        return tuple(
            ContextPassage(one.passage_id, one.text[: hit.chars], title=one.title, score=hit.score)
            for one, hit in found
        )

    def _cut(self, text: str, room: int) -> str:
        """The longest run of leading sentences within ``room`` tokens."""
        kept = ""
        for _, end in sentence_spans(text):
            if self._tokens.count(text[:end]) > room:
                break
            kept = text[:end]
        return kept

    def _passage(self, passage_id: str) -> Passage:
        try:
            return self._passages[passage_id]
        except KeyError:
            raise IndexFault(
                f"passage {passage_id} is in the index but not in the corpus",
                remedy="build the index again: ragdiag index build VERSION",
            ) from None
