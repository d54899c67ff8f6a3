"""Weights in four or eight bits under an adapter (QLoRA, Dettmers et al. 2023), by bitsandbytes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

from ragdiag.errors import TrainingError

Bits = Literal[4, 8]


def quantisation(bits: Bits) -> Any:
    """What transformers takes as ``quantization_config``.

    Raises TrainingError where bitsandbytes or an accelerator is missing, without which nothing is
    gained.
    """
    import torch
    from transformers import BitsAndBytesConfig

    needs = f"bits = {bits} needs"
    if find_spec("bitsandbytes") is None:
        raise TrainingError(
            f"{needs} bitsandbytes, which is not installed",
            remedy="run: pip install bitsandbytes, or leave bits out",
        )
    if not torch.cuda.is_available():
        raise TrainingError(
            f"{needs} an accelerator, and this machine has none",
            remedy="leave bits out: on a processor it saves no time",
        )
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def require_adapter(method: str) -> None:
    """Raises TrainingError where ``method`` trains the weights that are to be quantised."""
    if method == "full":
        raise TrainingError(
            "quantised weights can not be trained themselves", remedy="use lora, or leave bits out"
        )


def prepare_quantised(model: Any) -> Any:
    """Freeze ``model`` (of transformers) and keep its norms in float32, so that an adapter trains
    over it."""
    from peft import prepare_model_for_kbit_training

    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
