"""What every generator is: a question and its packed context in, an answer out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ragdiag.records import Answer, ContextPassage
from ragdiag.version import ExtractiveSpec, GeneratorSpec, ReaderSpec, TransformersSpec


class Generator(Protocol):
    """``name`` says what answered: the kind, and the model where there is a choice of them."""

    @property
    def name(self) -> str: ...

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """Answer from ``context`` alone, or abstain with status ``no_answer``.

        Raises ProviderRefused or ProviderUnreachable where no answer could be had.
        """
        ...


def load_generator(spec: GeneratorSpec) -> Generator:
    """The generator that ``spec`` describes; each kind's libraries are imported only when asked
    for.

    Raises ModelError (a model, encoder or adapter is missing or unfit) or ProviderRefused (openai:
    no key).
    """
    if isinstance(spec, ExtractiveSpec):
        from ragdiag.generation.extractive import load_extractive

        return load_extractive(spec)
    if isinstance(spec, TransformersSpec):
        from ragdiag.generation.local import load_transformers

        return load_transformers(spec)
    if isinstance(spec, ReaderSpec):
        from ragdiag.generation.reader import load_reader

        return load_reader(spec)
    from ragdiag.generation.openai import OpenAIGenerator

    return OpenAIGenerator(spec)
