"""Folders of transformers to models in memory; nothing is ever fetched.

torch and transformers are imported when a model is loaded, not with this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ragdiag.errors import ModelError, RagdiagError, first_line
from ragdiag.generator_spec import Device

Task = Literal["CausalLM", "QuestionAnswering"]


def model_folder(name: str) -> Path:
    """Raises ModelError where no model of transformers lies at ``name``."""
    folder = Path(name).expanduser()
    weights = (*folder.glob("*.safetensors"), *folder.glob("*.bin"))
    if not (folder / "config.json").is_file() or not weights:
        raise ModelError(
            f"no model at {name}",
            remedy="name a folder that holds config.json, the weights and the tokenizer",
        )
    return folder


def load_tokenizer(folder: Path) -> Any:
    """Raises ModelError where there is none, or none that knows where its tokens stand."""
    from transformers import AutoTokenizer

    remedy = "save the model again with its fast tokenizer (tokenizer.json)"
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # transformers and tokenizers share no type for a broken folder
        raise ModelError(
            f"cannot load the tokenizer of {folder} ({first_line(error)})", remedy=remedy
        ) from None
    if not tokenizer.is_fast:
        raise ModelError(f"the tokenizer of {folder} is a slow one", remedy=remedy)
    return tokenizer


def load_model(
    folder: Path,
    task: Task,
    *,
    device: Device = "cpu",
    dtype: str = "auto",
    headless: bool = False,
    quantised: Any = None,
) -> Any:
    """The model in ``folder`` on ``device``, in evaluation mode.

    Raises ModelError where it cannot be loaded or was not trained for ``task``; with ``headless``
    the missing head is made, to be trained. ``quantised`` is how transformers shall quantise it
    (``quantization_config``), on the accelerator of this process whatever ``device`` says.
    """
    import torch
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    place = find_device(device)
    wanted = torch.float32 if dtype == "auto" and place == "cpu" else dtype
    architecture = getattr(transformers, f"AutoModelFor{task}")
    try:
        with memory_faults(ModelError, f"for {folder}", "name a smaller model"):
            model, found = architecture.from_pretrained(
                str(folder),
                local_files_only=True,
                dtype=wanted,
                output_loading_info=True,
                **({} if quantised is None else {"quantization_config": quantised}),
            )
            if quantised is None:  # bitsandbytes has placed it already
                model.to(place)
    except ModelError:
        raise
    except Exception as error:  # nor do transformers and safetensors
        raise ModelError(
            f"cannot load the model at {folder} ({first_line(error)})",
            remedy="save it again with transformers, or name another model",
        ) from None
    missing = sorted(found["missing_keys"])
    if missing and not headless:
        raise ModelError(
            f"the model at {folder} has no weights for {missing[0]}",
            remedy=f"name one that was trained and saved for {task}",
        )
    return model.eval()


def find_device(device: Device) -> str:
    """The device to use. Raises ModelError for an accelerator that is not there."""
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, present in there.items() if present)
    if not there[device]:
        raise ModelError(
            f"this machine has no {device} device", remedy='use device = "auto" or "cpu"'
        )
    return device


@contextmanager
def memory_faults(kind: type[RagdiagError], what: str, remedy: str) -> Iterator[None]:
    """Raise ``kind`` where the block runs out of memory ``what``."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise kind(f"not enough memory {what}", remedy=remedy) from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # the processor's allocator has no type
            raise
        raise kind(f"not enough memory {what}", remedy=remedy) from None
