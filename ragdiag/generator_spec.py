"""The table ``[generator]`` of a spec: what makes an answer of a question and its passages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ragdiag.ann_spec import SpecTable

PACKAGED_MODEL = "all-MiniLM-L6-v2"

Device = Literal["auto", "cpu", "cuda", "mps"]


class ExtractiveSpec(SpecTable):
    """Verbatim sentences; below ``threshold`` (0 … 1) it declines to answer."""

    kind: Literal["extractive"] = "extractive"
    encoder: str = PACKAGED_MODEL
    sentences: int = Field(default=2, ge=1, le=10)
    lexical_weight: float = Field(default=0.5, ge=0, le=1)
    threshold: float = Field(default=0.25, ge=0, le=1)


class OpenAISpec(SpecTable):
    """Any OpenAI-compatible server. The key is read from the variable named by ``api_key_env``,
    never from the spec. Prices are US dollars per million tokens; without both, cost is unknown,
    not zero."""

    kind: Literal["openai"]
    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    retries: int = Field(default=2, ge=0, le=10)
    max_output_tokens: int = Field(default=300, ge=1, le=32_000)
    temperature: float = Field(default=0.0, ge=0, le=2)
    prompt_price: float | None = Field(default=None, ge=0)
    completion_price: float | None = Field(default=None, ge=0)


class TransformersSpec(SpecTable):
    """A causal language model of transformers in this process: the folder ``model``, and a LoRA
    ``adapter`` trained on it.

    ``device`` auto takes an accelerator where there is one. ``dtype`` auto is float32 on a
    processor, where stored half precision runs about 100 times slower, and the stored one
    elsewhere. At ``temperature`` 0 the likeliest token is taken every time. ``timeout_s`` is for
    one answer, waiting for others before it included.
    """

    kind: Literal["transformers"]
    model: str
    adapter: str | None = None
    device: Device = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_output_tokens: int = Field(default=300, ge=1, le=32_000)
    temperature: float = Field(default=0.0, ge=0, le=2)
    timeout_s: float = Field(default=60.0, gt=0, le=3600)


class ReaderSpec(SpecTable):
    """A model that marks the answer's span in a passage: the folder ``model``.

    It declines where the best span's score less that of no answer is below ``threshold``, in
    logits; left out, the one that training chose is used. No span is longer than
    ``max_answer_tokens``.
    """

    kind: Literal["reader"]
    model: str
    threshold: float | None = Field(default=None, ge=-1000, le=1000)
    max_answer_tokens: int = Field(default=30, ge=1, le=500)
    device: Device = "auto"


GeneratorSpec = Annotated[
    ExtractiveSpec | OpenAISpec | TransformersSpec | ReaderSpec, Field(discriminator="kind")
]
