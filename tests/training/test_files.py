"""A folder of a run is the old one or the new one, whatever happens between."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ragdiag.errors import StoreFull
from ragdiag.training.files import replace_folder


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def write(text: str) -> None:
        replace_folder(folder, lambda draft: (draft / "weights").write_text(text))

    def fail(draft: Path, error: Exception) -> None:
        (draft / "half").write_text("half")
        raise error

    write("old")
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StoreFull, match=r"no space left on the device for .*model; free some"):
        replace_folder(folder, lambda draft: fail(draft, full))
    with pytest.raises(ValueError, match="of its own"):
        replace_folder(folder, lambda draft: fail(draft, ValueError("of its own")))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"weights": "old"}
    write("new")
    assert (folder / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
