"""How much may still be asked of generators: calls, and US dollars."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from ragdiag.generator_spec import GeneratorSpec, OpenAISpec
from ragdiag.records import ContextPassage

CHARS_PER_TOKEN = 4
PROMPT_OVERHEAD_CHARS = 2_000
"""What a prompt says beside the question and its passages, rounded up."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, and the most tokens that an answer may have."""

    prompt: float
    completion: float
    max_output_tokens: int

    @classmethod
    def of(cls, spec: GeneratorSpec) -> Price | None:
        """None where the spec names no prices: models of this process, or a server unpriced."""
        if not isinstance(spec, OpenAISpec):
            return None
        if spec.prompt_price is None or spec.completion_price is None:
            return None
        return cls(spec.prompt_price, spec.completion_price, spec.max_output_tokens)

    def most_usd(self, prompt_tokens: int, calls: int = 1) -> float:
        """The cost if every answer were as long as it may be.

        >>> Price(1.0, 2.0, 100).most_usd(1_000_000)
        1.0002
        """
        completion = calls * self.max_output_tokens * self.completion
        return (prompt_tokens * self.prompt + completion) / 1e6


def prompt_tokens(question: str, context: tuple[ContextPassage, ...]) -> int:
    """About how many tokens a prompt has."""
    told = sum(len(passage.title) + len(passage.text) for passage in context)
    return (PROMPT_OVERHEAD_CHARS + len(question) + told) // CHARS_PER_TOKEN


class Budget:
    """Limits over one run; safe in threads. A call's highest price is set aside until it is known,
    so that calls under way together do not overspend."""

    def __init__(self, max_calls: int | None = None, max_cost_usd: float | None = None) -> None:
        self.max_calls, self.max_cost_usd = max_calls, max_cost_usd
        self.calls, self.cost_usd = 0, 0.0
        self._aside = 0.0
        self._lock = Lock()

    def take(self, most_usd: float = 0.0) -> bool:
        """Whether one more call that costs at most ``most_usd`` is within the limits; it counts."""
        with self._lock:
            if self.max_calls is not None and self.calls >= self.max_calls:
                return False
            promised = self.cost_usd + self._aside + most_usd
            if self.max_cost_usd is not None and promised > self.max_cost_usd:
                return False
            self.calls += 1
            self._aside += most_usd
            return True

    def settle(self, most_usd: float, cost_usd: float | None) -> None:
        """What a call that was taken has cost in the end; as much as it may where none knows."""
        with self._lock:
            self._aside -= most_usd
            self.cost_usd += most_usd if cost_usd is None else cost_usd
