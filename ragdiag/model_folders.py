"""The folders of models that a spec names, by their names in a workspace.

A folder in the workspace is written relative to it, so that a workspace which was moved, copied or
restored still finds what was trained in it, and a version has one id wherever that is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from pydantic import PrivateAttr

from ragdiag.ann_spec import SpecTable
from ragdiag.generator_spec import PACKAGED_MODEL

_NAMED = {
    "embedder": ("model", "adapter", "question_adapter", "questions"),
    "reranker": ("model", "adapter", "question_adapter"),
    "generator": ("encoder", "model", "adapter"),
}
"""Table of a spec → its keys that may name a folder."""


class PortableSpec(SpecTable):
    """A spec that knows which of its paths are folders of the workspace that opened it."""

    _written: dict[str, str] = PrivateAttr(default_factory=dict)
    """Path of a folder → its name in the workspace, as it is kept and hashed."""

    def opened_in(self, root: Path) -> Self:
        """The spec as the workspace at ``root`` reads it: names of folders there become paths.

        Any other relative name stays: a path from the current folder, or one that ragdiag knows.
        """
        paths = {name: _folder(root, name) for _, _, name in self._folders()}
        opened = self._renamed(paths.__getitem__)
        written = {path: self._written.get(name, name) for name, path in paths.items()}
        opened._written = {path: name for path, name in written.items() if path != name}
        return opened

    def portable(self, root: Path) -> Self:
        """As :meth:`opened_in`, and a path in the workspace counts as a name there too."""
        return self._renamed(lambda name: _name(root, name)).opened_in(root)

    def with_tables(self, root: Path, **tables: SpecTable) -> Self:
        """With other ``tables``, whose folders in the workspace at ``root`` count as names there.

        A path that was in the spec before stays one, or an index would have to be built again.
        """
        kept = {name for _, _, name in self._folders()}
        changed = self.model_copy(update=tables)
        return changed._renamed(lambda name: name if name in kept else _name(root, name)).opened_in(
            root
        )

    @property
    def as_written(self) -> Self:
        """What is kept and hashed: folders of the workspace by their names in it."""
        return self._renamed(lambda path: self._written.get(path, path))

    def _renamed(self, rename: Callable[[str], str]) -> Self:
        update: dict[str, dict[str, str]] = {}
        for table, key, name in self._folders():
            update.setdefault(table, {})[key] = rename(name)
        tables = {
            table: getattr(self, table).model_copy(update=new) for table, new in update.items()
        }
        return self.model_copy(update=tables)

    def _folders(self) -> Iterator[tuple[str, str, str]]:
        """(table, key, name) of what may be a folder; the model of a server is none."""
        for table, keys in _NAMED.items():
            held = getattr(self, table)
            if getattr(held, "kind", "") == "openai":
                continue
            for key in keys:
                name = getattr(held, key, None)
                if name is not None:
                    yield table, key, name


def _name(root: Path, path: str) -> str:
    full, top = Path(path).expanduser(), Path(os.path.abspath(root))
    inside = full.is_absolute() and full.is_relative_to(top)
    return full.relative_to(top).as_posix() if inside else path


def _folder(root: Path, name: str) -> str:
    path = Path(os.path.abspath(root)) / name
    known = name == PACKAGED_MODEL or Path(name).is_absolute()
    return name if known or not path.is_dir() else str(path)
