"""Answer examples as files of a run: written whole, checked by their hash, cleared of one user.

``<name>.answers.jsonl`` has one header line (the examples' hash, how many follow, what was removed
since it was written) and a line for every example. Encrypted or not is the file's own matter, as
with pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ragdiag.errors import TrainingError
from ragdiag.privacy.keys import Keyring
from ragdiag.records import ContextPassage
from ragdiag.training.answers.located import DECLINED, AnswerExample, examples_hash
from ragdiag.training.data.sets import Forgotten
from ragdiag.training.set_files import EXAMPLES, read_lines, seal_of, write_lines


def save_examples(
    folder: Path,
    examples: Sequence[AnswerExample],
    name: str = "train",
    seal: Keyring | None = None,
) -> Path:
    """Write ``<name>.answers.jsonl`` into ``folder``, replacing it, encrypted under ``seal`` if
    there is one. Raises StoreFull."""
    path = folder / f"{name}{EXAMPLES}"
    _write(path, examples, trained_on=examples_hash(examples), removed=0, seal=seal)
    return path


def load_examples(
    folder: Path, name: str = "train", keys: Keyring | None = None
) -> list[AnswerExample]:
    """What :func:`save_examples` wrote, less what has been forgotten since; ``keys`` (default:
    those of the default variable) decrypt it where it is encrypted.

    Raises TrainingError where it is missing, cut short or not what was written, KeyMissing.
    """
    return _read(folder / f"{name}{EXAMPLES}", keys)[0]


def forget_examples(
    root: Path,
    question_ids: Collection[str],
    texts: Collection[str],
    *,
    keys: Keyring | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """Remove from every set below ``root`` the examples that ask one of these questions, or whose
    question is one of ``texts``; each file is replaced whole.

    Raises TrainingError where a set cannot be read, KeyMissing, StoreFull.
    """
    gone = 0
    files = []
    for path in sorted(root.rglob(f"*{EXAMPLES}")):
        held, header = _read(path, keys)
        kept = [
            one
            for one in held
            if one.question_id.removesuffix(DECLINED) not in question_ids
            and one.question not in texts
        ]
        if len(kept) == len(held):
            continue
        gone += len(held) - len(kept)
        files.append(path)
        if not dry_run:
            removed = header["removed"] + len(held) - len(kept)
            seal = seal_of(path, keys)
            _write(path, kept, trained_on=header["trained_on"], removed=removed, seal=seal)
    return Forgotten(gone, tuple(files))


def _write(
    path: Path,
    held: Sequence[AnswerExample],
    *,
    trained_on: str,
    removed: int,
    seal: Keyring | None,
) -> None:
    header = {
        "data_hash": examples_hash(held),
        "examples": len(held),
        "trained_on": trained_on,
        "removed": removed,
    }
    rows = [header, *({**asdict(one), "gold": sorted(one.gold)} for one in held)]
    write_lines(path, rows, seal)


def _read(path: Path, keys: Keyring | None) -> tuple[list[AnswerExample], dict[str, Any]]:
    if not path.is_file():
        raise TrainingError(f"there are no answer examples {path}", remedy="train again")
    try:
        header, *rows = read_lines(path, keys)
        held = [_example(row) for row in rows]
        same = examples_hash(held) == header["data_hash"] and len(held) == header["examples"]
    except (ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise TrainingError(
            f"the answer examples {path} are not what was written",
            remedy="remove them and train again",
        )
    return held, header


def _example(row: dict[str, Any]) -> AnswerExample:
    return AnswerExample(
        row["question_id"],
        row["question"],
        tuple(row["answers"]),
        tuple(ContextPassage(**passage) for passage in row["context"]),
        frozenset(row["gold"]),
    )
