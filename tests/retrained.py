"""A model that is trained again where it lies, as another process would."""

from __future__ import annotations

from pathlib import Path


def retrain(folder: Path) -> None:
    """Change every weight in ``folder``; size and names stay."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    changed = {name: tensor * -1.5 for name, tensor in load_file(path).items()}
    save_file(changed, path, metadata={"format": "pt"})
