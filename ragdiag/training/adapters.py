"""LoRA (Hu et al. 2021) by PEFT: small matrices beside the weights of a model that stay frozen.

rsLoRA (Kalajdzievski 2023) scales by α/√r where LoRA scales by α/r; DoRA (Liu et al. 2024) learns
magnitudes apart from directions.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from ragdiag.errors import InputError, TrainingError
from ragdiag.retrieval.adapters import AdapterManifest, write_manifest
from ragdiag.retrieval.files import sha256_file
from ragdiag.training.files import replace_folder
from ragdiag.training.loop import Task

_BERT = ("query", "key", "value", "attention.output.dense")
_DECODER = ("q_proj", "k_proj", "v_proj", "o_proj")
TARGETS = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "electra"), _BERT),
    "mpnet": ("q", "k", "v", "o"),
    "distilbert": ("q_lin", "k_lin", "v_lin", "out_lin"),
    "modernbert": ("Wqkv", "Wo"),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"), _DECODER),
}
"""A model's ``config.model_type`` → the ends of its attention modules' names."""

ALL_LINEAR = ("all-linear",)
"""As ``target_modules``: every linear module that is no head, whatever the model's type."""

LIBRARIES = ("torch", "transformers", "peft", "sentence-transformers")


MOST_ALPHA = 4096
"""Eight times the largest rank: what is beyond multiplies the first steps out of all numbers."""


@dataclass(frozen=True)
class LoraOptions:
    """``rank`` r and ``alpha`` α as in Hu et al.; ``target_modules`` are ends of modules' names,
    instead of those that the model's type has in :data:`TARGETS`; or :data:`ALL_LINEAR`.

    Raises InputError for an α below 0, above :data:`MOST_ALPHA` or that is no number.
    """

    rank: int = 32
    alpha: float = 64.0
    dropout: float = 0.0
    rslora: bool = False
    dora: bool = False
    target_modules: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= MOST_ALPHA:  # NaN is neither
            raise InputError(
                f"alpha = {self.alpha:g} is no scale of an adapter",
                remedy=f"choose one from 0 to {MOST_ALPHA:,}; twice the rank is usual",
            )


ANSWERING = LoraOptions(16, 32.0, 0.05, target_modules=ALL_LINEAR)
"""What suits models that answer."""


def add_lora(
    model: Any,
    options: LoraOptions,
    *,
    seed: int,
    task: str | None = None,
    modules_to_save: Sequence[str] = (),
) -> Any:
    """``model`` (of transformers), wrapped: what it gives is unchanged, and only the adapter and
    ``modules_to_save`` require a gradient. ``task`` is PEFT's ``task_type``.

    Raises TrainingError where a target matches no module, or the model's type is not known.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        use_rslora=options.rslora,
        use_dora=options.dora,
        target_modules=list(_targets(model, options, modules_to_save)),
        modules_to_save=list(modules_to_save) or None,
        task_type=task,
    )
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        # PEFT asks transformers under a name that is going away; nothing for the user to do.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        try:
            return get_peft_model(model, config)
        except ValueError as error:  # a module of a kind that PEFT cannot adapt
            raise TrainingError(
                f"LoRA cannot adapt {', '.join(config.target_modules)} ({error})",
                remedy="name linear modules in target_modules",
            ) from None


def check_targets(folder: Path, options: LoraOptions) -> None:
    """Whether a model of transformers in ``folder`` has what ``options`` target; reads its
    configuration and no weights. Raises TrainingError."""
    import torch
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    _targets(model, options, ())


def check_gradients(model: Any) -> None:
    """After a backward pass: every module that is trained took part in it.

    Raises TrainingError, naming those that did not: they would stay as they are and say nothing.
    """
    silent = sorted({_module(name) for name in without_gradient(model)})
    if silent:
        raise TrainingError(
            f"no gradient reaches {_some(silent)}",
            remedy="leave them out of target_modules: the model's output does not use them",
        )


def check_task(task: Task) -> None:
    """One backward pass of what :func:`add_lora` wrapped, checked as :func:`check_gradients`."""
    task.loss(range(min(2, task.size))).backward()
    check_gradients(task.model)
    task.model.zero_grad()


def without_gradient(model: Any) -> list[str]:
    """Names of the parameters that require a gradient and got none."""
    return [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def save_adapter(model: Any, folder: Path, manifest: AdapterManifest) -> None:
    """Write the adapter of ``model``, as :func:`add_lora` gave it, in place of what is there; the
    manifest is completed with the hashes of its files and the libraries' versions."""

    def write(draft: Path) -> None:
        # Otherwise PEFT asks the network whether the base's embeddings were resized.
        model.save_pretrained(str(draft), save_embedding_layers=False)
        (draft / "README.md").unlink(missing_ok=True)
        config = json.loads((draft / "adapter_config.json").read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = manifest.base
        config["target_modules"] = sorted(config["target_modules"])  # PEFT's order is a set's
        (draft / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        files = {path.name: sha256_file(path) for path in sorted(draft.iterdir())}
        libraries = {name: installed_version(name) for name in LIBRARIES}
        write_manifest(draft, replace(manifest, files=files, libraries=libraries))

    replace_folder(folder, write)


def heads_of(model: Any) -> list[str]:
    """Names of what has weights beside the encoder of ``model`` (of transformers)."""
    return [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]


def _targets(model: Any, options: LoraOptions, modules_to_save: Sequence[str]) -> tuple[str, ...]:
    kind = str(model.config.model_type)
    wanted = options.target_modules or TARGETS.get(kind)
    linear = [
        name
        for name, part in model.named_modules()
        if hasattr(part, "in_features") or hasattr(part, "nf")  # GPT-2's kind of linear
    ]
    if wanted == ALL_LINEAR:
        heads = {*modules_to_save, *heads_of(model)}
        inner = (name.split(".") for name in linear)
        return tuple(sorted({parts[-1] for parts in inner if parts[0] not in heads}))
    missing = [
        target
        for target in wanted or ()
        if not any(name == target or name.endswith(f".{target}") for name in linear)
    ]
    if missing or not wanted:
        ends = sorted({".".join(name.split(".")[-2:]) for name in linear})
        what = f"a {kind} model has no module {', '.join(missing)}" if missing else f"of a {kind}"
        raise TrainingError(
            what if missing else f"it is not known which modules {what} model to adapt",
            remedy=f"name some in target_modules: it has {_some(ends)}",
        )
    return wanted


def _module(parameter: str) -> str:
    return parameter.split(".lora_")[0].rpartition("base_model.model.")[2]


def _some(names: Iterable[str], most: int = 12) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
