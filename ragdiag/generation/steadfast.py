"""A generator for work over many questions: it stops where the generator itself is down.

One answer that could not be had is a fact about its request and is logged as such. A wrong key or
a server that hangs would make that fact of every question, and an evaluation that reports a
quality of 0; so after LIMIT failures in a row the work ends with the failure's own line.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.errors import GenerationError, GeneratorDown
from ragdiag.generation.generator import Generator
from ragdiag.records import Answer, ContextPassage

LIMIT = 3


class SteadfastGenerator:
    """``generator`` until LIMIT calls in a row have failed; then GeneratorDown."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._failures = 0

    @property
    def name(self) -> str:
        return self._generator.name

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """As the generator's own; raises GeneratorDown with the last failure's remedy."""
        try:
            answer = self._generator.answer(question, context)
        except GenerationError as error:
            self._failures += 1
            if self._failures < LIMIT:
                raise
            raise GeneratorDown(
                f"{LIMIT} answers in a row failed: {error.message}", remedy=error.remedy
            ) from error
        self._failures = 0
        return answer
