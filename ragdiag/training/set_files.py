"""The lines of a training set as a file, encrypted where a keyring is given to seal it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from ragdiag.configuration import read_configuration
from ragdiag.errors import KeyMissing, StoreError
from ragdiag.privacy.encryption import encrypting, is_encrypted, open_decrypted
from ragdiag.privacy.keys import Keyring, default_keys, keyring_for
from ragdiag.settings import Workspace
from ragdiag.training.files import replace_file

PAIRS = ".pairs.jsonl"
EXAMPLES = ".answers.jsonl"


def training_seal(workspace: Workspace) -> Keyring | None:
    """What seals the sets of ``workspace``; None where they are written as they are.

    Raises KeyMissing where they are to be encrypted and there is no key.
    """
    return keyring_for(read_configuration(workspace).privacy, "training")


def set_files(root: Path) -> list[Path]:
    """Every training set below ``root``."""
    return sorted(path for suffix in (PAIRS, EXAMPLES) for path in root.rglob(f"*{suffix}"))


def write_lines(path: Path, lines: Iterable[Any], seal: Keyring | None = None) -> None:
    """A JSON line for each of ``lines``, readable by the owner alone. Raises StoreFull."""

    def write(file: BinaryIO) -> None:
        with nullcontext(file) if seal is None else encrypting(file, seal) as target:
            for line in lines:
                target.write((json.dumps(line, ensure_ascii=False) + "\n").encode())

    replace_file(path, write)
    path.chmod(0o600)


def read_lines(path: Path, keys: Keyring | None = None) -> list[Any]:
    """What :func:`write_lines` wrote; ``keys`` default to those of the default variable.

    Raises KeyMissing where it is encrypted and its key is not among them, ValueError where it is
    not what was written.
    """
    try:
        with open_decrypted(path, keys or default_keys()) as file:
            text = file.read().decode()
    except KeyMissing:
        raise
    except StoreError as error:
        raise ValueError(str(error)) from None
    # Not splitlines(), which also breaks at separators that stand within a text.
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


def seal_of(path: Path, keys: Keyring | None) -> Keyring | None:
    """What seals ``path`` when it is written anew: it stays encrypted if it was."""
    return (keys or default_keys()) if is_encrypted(path) else None
