"""Training sets as files of a run: written whole, checked by their hash, cleared of one user.

``<name>.pairs.jsonl`` has one header line (the set's hash, how many lines follow, what was removed
since it was written), a line for every pair and a line for every passage. Encrypted or not is the
file's own matter: it is read either way, and stays as it is when somebody is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ragdiag.errors import TrainingError
from ragdiag.privacy.keys import Keyring
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.set_files import PAIRS, read_lines, seal_of, write_lines


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Pairs or examples of somebody who is to be forgotten: how many, and in which files."""

    pairs: int = 0
    files: tuple[Path, ...] = ()


def save_set(
    folder: Path, held: TrainingSet, name: str = "train", seal: Keyring | None = None
) -> Path:
    """Write ``held`` as ``<name>.pairs.jsonl`` into ``folder``, replacing it, encrypted under
    ``seal`` if there is one. Raises StoreFull."""
    path = folder / f"{name}{PAIRS}"
    _write(path, held, trained_on=held.data_hash, removed=0, seal=seal)
    return path


def load_set(folder: Path, name: str = "train", keys: Keyring | None = None) -> TrainingSet:
    """What :func:`save_set` wrote, less what has been forgotten since; ``keys`` (default: those of
    the default variable) decrypt it where it is encrypted.

    Raises TrainingError where it is missing, cut short or not what was written, KeyMissing.
    """
    return _read(folder / f"{name}{PAIRS}", keys)[0]


def forget_pairs(
    root: Path,
    is_forgotten: Callable[[str], bool],
    question_ids: Collection[str],
    texts: Collection[str],
    *,
    keys: Keyring | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """Remove from every set below ``root`` the pairs that rest only on requests of which
    ``is_forgotten(request_id)``, that ask one of these questions, or whose question is one of
    ``texts``; each file is replaced whole.

    A pair that other requests support as well stays and names the others. Raises TrainingError
    where a set cannot be read, KeyMissing where it is encrypted and its key is not in ``keys``,
    StoreFull.
    """
    gone = 0
    files = []
    for path in sorted(root.rglob(f"*{PAIRS}")):
        held, header = _read(path, keys)
        kept = [
            after
            for pair in held.pairs
            if (after := _without(pair, is_forgotten, question_ids, texts)) is not None
        ]
        if kept == list(held.pairs):
            continue
        gone += len(held.pairs) - len(kept)
        files.append(path)
        if not dry_run:
            removed = header["removed"] + len(held.pairs) - len(kept)
            left = TrainingSet(kept, _texts_of(kept, held))
            seal = seal_of(path, keys)
            _write(path, left, trained_on=header["trained_on"], removed=removed, seal=seal)
    return Forgotten(gone, tuple(files))


def _without(
    pair: Pair,
    is_forgotten: Callable[[str], bool],
    question_ids: Collection[str],
    texts: Collection[str],
) -> Pair | None:
    if pair.question_id in question_ids or pair.question in texts:
        return None
    others = tuple(one for one in pair.request_ids if not is_forgotten(one))
    if pair.request_ids and not others:
        return None
    return pair if others == pair.request_ids else replace(pair, request_ids=others)


def _texts_of(pairs: Collection[Pair], held: TrainingSet) -> dict[str, str]:
    named = {name for pair in pairs for name in (pair.passage_id, *pair.negatives)}
    return {name: text for name, text in held.texts.items() if name in named}


def _write(
    path: Path, held: TrainingSet, *, trained_on: str, removed: int, seal: Keyring | None
) -> None:
    header = {
        "data_hash": held.data_hash,
        "pairs": len(held.pairs),
        "texts": len(held.texts),
        "trained_on": trained_on,
        "removed": removed,
    }
    write_lines(path, _lines(header, held), seal)


def _lines(header: dict[str, Any], held: TrainingSet) -> Iterator[Any]:
    yield header
    yield from (asdict(pair) for pair in held.pairs)
    yield from ([name, held.texts[name]] for name in sorted(held.texts))


def _read(path: Path, keys: Keyring | None) -> tuple[TrainingSet, dict[str, Any]]:
    if not path.is_file():
        raise TrainingError(f"there is no training set {path}", remedy="assemble the run's data")
    try:
        header, *lines = read_lines(path, keys)
        pairs = [_pair(line) for line in lines[: header["pairs"]]]
        held = TrainingSet(pairs, dict(lines[header["pairs"] :]))
        same = held.data_hash == header["data_hash"] and len(held.texts) == header["texts"]
    except (ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise TrainingError(
            f"the training set {path} is not what was written",
            remedy="remove it and assemble the run's data again",
        )
    return held, header


def _pair(line: dict[str, Any]) -> Pair:
    lists = {name: tuple(value) for name, value in line.items() if isinstance(value, list)}
    return Pair(**{**line, **lists})
