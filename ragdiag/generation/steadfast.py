"""A generator for work over many questions: it stops where the generator itself is down.

One answer that could not be had is a fact about its request and is logged as such. A wrong key or
a server that hangs would make that fact of every question, and an evaluation that reports a
quality of 0; so after LIMIT failures in a row the work ends with the failure's own line. Prompts
that are refused, each for itself, end nothing, until REFUSED_LIMIT of them came in a row: then the
fault is in how they are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from ragdiag.errors import GenerationError, GeneratorDown, PromptRefused
from ragdiag.generation.generator import Generator
from ragdiag.records import Answer, ContextPassage

LIMIT = 3
REFUSED_LIMIT = 20


class Steadfastness:
    """Counts failures in a row, of calls from any thread; ``what`` they should have given."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._failures = self._refused = 0
        self._lock = Lock()

    def succeeded(self) -> None:
        with self._lock:
            self._failures = self._refused = 0

    def failed(self, error: GenerationError) -> None:
        """Raises GeneratorDown with the remedy of ``error`` where it is one too many."""
        with self._lock:
            if isinstance(error, PromptRefused):
                self._refused += 1
                self._failures = 0
            else:
                self._failures += 1
            failures, refused = self._failures, self._refused
        if failures < LIMIT and refused < REFUSED_LIMIT:
            return
        raise GeneratorDown(
            f"{max(failures, refused)} {self._what} in a row failed: {error.message}",
            remedy=error.remedy,
        ) from error


class SteadfastGenerator:
    """``generator`` until too many calls in a row have failed; then GeneratorDown."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._steadfast = Steadfastness("answers")

    @property
    def name(self) -> str:
        return self._generator.name

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """As the generator's own; raises GeneratorDown with the last failure's remedy."""
        try:
            answer = self._generator.answer(question, context)
        except GenerationError as error:
            self._steadfast.failed(error)
            raise
        self._steadfast.succeeded()
        return answer
