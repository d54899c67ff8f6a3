"""LoRA (Hu et al. 2021) on any model of transformers, and where what was trained is kept."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class LoraOptions:
    """W + alpha/rank · B·A on every linear layer but the head: A is (rank, inputs), B (outputs,
    rank) and zero at first."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05


def attach_lora(
    model: Any, options: LoraOptions, kind: Literal["CAUSAL_LM", "QUESTION_ANS"]
) -> Any:
    """``model`` frozen but for new low-rank weights, and the head of a question answerer."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type=kind,
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules="all-linear",
        exclude_modules=["qa_outputs"] if kind == "QUESTION_ANS" else None,
    )
    with warnings.catch_warnings():
        # PEFT asks transformers under a name that is going away; nothing for the user to do.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        return get_peft_model(model, config)


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a new ``folder``, which takes the old one's place once it is whole."""
    draft, old = folder.with_name(f".{folder.name}"), folder.with_name(f".{folder.name}-old")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    write(draft)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(draft, folder)
    shutil.rmtree(old, ignore_errors=True)
