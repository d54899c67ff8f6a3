"""Answer examples as files of a run: written whole, checked by their hash, cleared of one user.

``<name>.answers.jsonl`` has one header line (the examples' hash, how many follow, what was removed
since it was written) and a line for every example.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ragdiag.errors import TrainingError
from ragdiag.records import ContextPassage
from ragdiag.training.answers.located import DECLINED, AnswerExample, examples_hash
from ragdiag.training.data.sets import Forgotten
from ragdiag.training.files import replace_file

SUFFIX = ".answers.jsonl"


def save_examples(folder: Path, examples: Sequence[AnswerExample], name: str = "train") -> Path:
    """Write ``<name>.answers.jsonl`` into ``folder``, replacing it. Raises StoreFull."""
    path = folder / f"{name}{SUFFIX}"
    _write(path, examples, trained_on=examples_hash(examples), removed=0)
    return path


def load_examples(folder: Path, name: str = "train") -> list[AnswerExample]:
    """What :func:`save_examples` wrote, less what has been forgotten since.

    Raises TrainingError where it is missing, cut short or not what was written.
    """
    return _read(folder / f"{name}{SUFFIX}")[0]


def forget_examples(
    root: Path, question_ids: Collection[str], texts: Collection[str], *, dry_run: bool = False
) -> Forgotten:
    """Remove from every set below ``root`` the examples that ask one of these questions, or whose
    question is one of ``texts``; each file is replaced whole.

    Raises TrainingError where a set cannot be read, StoreFull.
    """
    gone = 0
    files = []
    for path in sorted(root.rglob(f"*{SUFFIX}")):
        held, header = _read(path)
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
            _write(path, kept, trained_on=header["trained_on"], removed=removed)
    return Forgotten(gone, tuple(files))


def _write(path: Path, held: Sequence[AnswerExample], *, trained_on: str, removed: int) -> None:
    header = {
        "data_hash": examples_hash(held),
        "examples": len(held),
        "trained_on": trained_on,
        "removed": removed,
    }
    rows = [header, *({**asdict(one), "gold": sorted(one.gold)} for one in held)]
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    replace_file(path, lambda file: file.writelines(line.encode() for line in lines))
    path.chmod(0o600)


def _read(path: Path) -> tuple[list[AnswerExample], dict[str, Any]]:
    if not path.is_file():
        raise TrainingError(f"there are no answer examples {path}", remedy="train again")
    try:
        # Not splitlines(), which also breaks at separators that stand within a text.
        header, *rows = map(json.loads, path.read_text("utf-8").removesuffix("\n").split("\n"))
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
