"""Answers from a causal language model in this process, with a LoRA adapter where one is named.

A process loads each model once, and one answer is made at a time: two at once would share the same
cores and the same memory. An answer fails in one of two ways: ProviderRefused where the prompt does
not fit or memory runs out, ProviderUnreachable where it is not there in time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from ragdiag.errors import ModelError, ProviderRefused, ProviderUnreachable
from ragdiag.generation.chat_prompt import Prompt, encode_messages, encode_prompt, encode_reply
from ragdiag.generation.grounded_prompt import NO_ANSWER, read_reply
from ragdiag.generation.loading import (
    load_model,
    load_tokenizer,
    memory_faults,
    model_folder,
)
from ragdiag.records import Answer, ContextPassage
from ragdiag.retrieval.adapters import merge_adapter, require_base
from ragdiag.retrieval.models import Signature, adapter_path, signature_of
from ragdiag.version import TransformersSpec

_load_lock = Lock()


@dataclass(frozen=True)
class LanguageModel:
    """A causal model of transformers and its tokenizer, used by one thread at a time."""

    model: Any
    tokenizer: Any
    lock: Lock = field(default_factory=Lock)

    @property
    def window(self) -> int:
        """Tokens that it reads and writes in all."""
        config = self.model.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        most = int(self.tokenizer.model_max_length)
        return min(int(limit or most), most)

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a reply."""
        named = self.model.generation_config.eos_token_id
        ends = named if isinstance(named, list) else [named]
        return frozenset({*ends, self.tokenizer.eos_token_id} - {None})


class TransformersGenerator:
    """One model; ``name`` says its folder and its adapter's."""

    def __init__(self, spec: TransformersSpec, language_model: LanguageModel) -> None:
        self._spec, self._held = spec, language_model
        self._room = language_model.window - spec.max_output_tokens
        if self._room < 1:
            raise ModelError(
                f"max_output_tokens = {spec.max_output_tokens}, but {spec.model} has a window of "
                f"{language_model.window} tokens",
                remedy="lower max_output_tokens in [generator]",
            )

    @property
    def name(self) -> str:
        adapter = f"+{Path(self._spec.adapter).name}" if self._spec.adapter else ""
        return f"transformers:{Path(self._spec.model).name}{adapter}"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """The model's reply, cited. Where the context is longer than its window, the last passages
        are left out, and ``degraded_reason`` says so.

        Raises PromptRefused where the question with one passage does not fit, ProviderRefused where
        memory runs out; ProviderUnreachable where the reply is not whole within ``timeout_s``.
        """
        deadline = time.monotonic() + self._spec.timeout_s
        with self._turn():
            prompt = encode_prompt(self._held.tokenizer, question, context, self._room)
            remedy = "lower max_tokens in [context] or max_output_tokens in [generator]"
            with memory_faults(ProviderRefused, "for an answer", remedy):
                written = self._write(prompt, deadline)
            text = self._held.tokenizer.decode(written, skip_special_tokens=True)
        reply = read_reply(text, context[: prompt.kept], model=self.name)
        return replace(
            reply,
            prompt_tokens=len(prompt.tokens),
            completion_tokens=len(written),
            degraded_reason=_left_out(len(context), prompt.kept),
        )

    def reply(self, messages: Sequence[Any]) -> str:
        """What the model says to chat ``messages``, a system message first. Raises as
        :meth:`answer`."""
        deadline = time.monotonic() + self._spec.timeout_s
        tokenizer = self._held.tokenizer
        with self._turn():
            prompt = Prompt(encode_messages(tokenizer, messages, self._room), 0)
            with memory_faults(ProviderRefused, "for a reply", "lower max_output_tokens"):
                written = self._write(prompt, deadline)
            return str(tokenizer.decode(written, skip_special_tokens=True))

    def log_probability(
        self, question: str, context: Sequence[ContextPassage], answer: Answer
    ) -> float:
        """ln P(answer | question, context): the sum over the tokens of its text and of its end.

        The text is taken without citation marks, whose numbers depend on what else is in the
        context. Passages that :meth:`answer` would leave out are left out here too. Raises as
        :meth:`answer`.
        """
        text = answer.text if answer.status == "ok" else NO_ANSWER
        tokenizer = self._held.tokenizer
        with self._turn():
            reply = encode_reply(tokenizer, question, context, text)
            room = min(self._room, self._held.window - len(reply))
            prompt = encode_prompt(tokenizer, question, context, room)
            remedy = "lower max_tokens in [context]"
            with memory_faults(ProviderRefused, "for an answer's probability", remedy):
                return self._score(prompt.tokens, reply)

    def _score(self, prompt: Sequence[int], reply: Sequence[int]) -> float:
        import torch

        model = self._held.model
        tokens = torch.tensor([[*prompt, *reply]], device=model.device)
        with torch.inference_mode():
            # The logits of a place tell the token after it.
            logits = model(tokens, use_cache=False).logits[0, len(prompt) - 1 : -1]
            chances = logits.float().log_softmax(-1)
        places = torch.arange(len(reply), device=model.device)
        return float(chances[places, tokens[0, len(prompt) :]].double().sum())

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._held.lock.acquire(timeout=self._spec.timeout_s):
            raise self._late("others were before it")
        try:
            yield
        finally:
            self._held.lock.release()

    def _write(self, prompt: Prompt, deadline: float) -> list[int]:
        """The reply's tokens. Raises ProviderUnreachable where time ran out before its end."""
        import torch
        from transformers import GenerationConfig

        spec, model = self._spec, self._held.model
        tokens = torch.tensor([prompt.tokens], device=model.device)
        sampled = {"do_sample": True, "temperature": spec.temperature, "top_k": 0}
        config = GenerationConfig(
            max_new_tokens=spec.max_output_tokens,
            max_time=max(0.0, deadline - time.monotonic()),
            eos_token_id=sorted(self._held.ends),
            pad_token_id=min(self._held.ends),
            repetition_penalty=1.0,
            **(sampled if spec.temperature else {"do_sample": False}),
        )
        with torch.inference_mode():
            whole = model.generate(
                tokens, attention_mask=torch.ones_like(tokens), generation_config=config
            )
        written: list[int] = whole[0, len(prompt.tokens) :].tolist()
        if len(written) < spec.max_output_tokens and written[-1] not in self._held.ends:
            raise self._late("it was still being written")
        return written

    def _late(self, why: str) -> ProviderUnreachable:
        return ProviderUnreachable(
            f"{self.name} gave no answer within {self._spec.timeout_s:g} s ({why})",
            remedy="raise timeout_s or lower max_output_tokens in the version's [generator]",
        )


def load_transformers(spec: TransformersSpec) -> TransformersGenerator:
    """Raises ModelError: no such model, adapter or device, an adapter of another model, too little
    memory, a tokenizer that ends no reply."""
    with _load_lock:
        folder = model_folder(spec.model)
        adapter = None if spec.adapter is None else adapter_path(spec.adapter)
        signatures = tuple(signature_of(one) for one in (folder, adapter) if one is not None)
        held = _loaded(folder, adapter, spec.device, spec.dtype, signatures)
    return TransformersGenerator(spec, held)


@lru_cache(maxsize=2)
def _loaded(
    folder: Path, adapter: Path | None, device: Any, dtype: str, signatures: tuple[Signature, ...]
) -> LanguageModel:
    """``signatures`` are part of the key so that what is retrained in place is loaded again."""
    if adapter is not None:
        require_base(adapter, str(folder))
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, "CausalLM", device=device, dtype=dtype)
    if adapter is not None:
        model = merge_adapter(model, adapter).eval()
    held = LanguageModel(model, tokenizer)
    if not held.ends:
        raise ModelError(
            f"the tokenizer of {folder} has no token that ends a reply",
            remedy="set eos_token in its tokenizer_config.json",
        )
    return held


def _left_out(given: int, kept: int) -> str | None:
    if kept == given:
        return None
    return f"the model's window left out {given - kept} of {given} passages"
