"""Many judgements at half the price, through the provider's batch API: uploaded once, fetched when
ready, however often the command that waits is killed.

What is to be asked is cut into files that the provider takes, one batch each. A batch is remembered
by a note in the judge's cache folder, which names what it asks: the same command, or another that
asks the same of the same judge, takes it up. The note is written before the batch is made and bears
a name that the batch bears, too, so that one made just before a kill is found again. Ids may also
be named. Replies go into the cache and grading reads them there.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ragdiag.errors import GenerationError, ProviderRefused, StoreError
from ragdiag.grading.batch_files import cut_into_files
from ragdiag.grading.contract import Item
from ragdiag.grading.judge import Judge
from ragdiag.progress import Progress, report
from ragdiag.retrieval.files import atomic_file, full_disk_named

POLL_S = 10.0
ENDED = ("failed", "expired", "cancelled")
CLOCKS_APART_S = 600.0
NAMED_BY = "ragdiag"
"""The key of a batch's metadata under which it bears the name of its note."""


class _Response(BaseModel):
    status_code: int
    body: Any = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None


class _Note(BaseModel):
    """What a batch asks; without a ``batch_id`` it may have been made, or not. Earlier notes have
    no ``keys``: what they ask is known by the name of the note alone."""

    model_config = ConfigDict(strict=True)

    keys: list[str] | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch with its note; one that a person named has none."""

    batch_id: str
    note: Path | None = None

    def forget(self) -> None:
        if self.note is not None:
            self.note.unlink(missing_ok=True)


def run_batches(
    judge: Judge,
    items: Sequence[Item],
    folder: Path,
    *,
    batch_ids: Sequence[str] = (),
    wait_s: float = 0.0,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Have what ``judge`` does not know yet of ``items`` judged in batches, kept in its cache.
    Where ``batch_ids`` are named no other is made.

    Returns the ids of the batches under way after ``wait_s``: call again, later; none where all
    replies are in. Replies that are no judgement are left for ``judge.grade`` to ask for once more.
    Raises ProviderRefused where a batch has failed, once what it and the others had is fetched, and
    as ChatClient does.
    """
    waiting = judge.unasked(items)
    if not waiting:
        return []
    running = _resume(judge, waiting, folder, named=bool(batch_ids))
    known = {one.batch_id for one in running}
    running += [_Batch(name) for name in dict.fromkeys(batch_ids) if name not in known]
    if not batch_ids:
        running += _submit(judge, _left(waiting, folder), folder)
    return _await(judge, waiting, running, wait_s, progress, sleep)


def _await(
    judge: Judge,
    waiting: Mapping[str, Item],
    running: Sequence[_Batch],
    wait_s: float,
    progress: Progress | None,
    sleep: Callable[[float], None],
) -> list[str]:
    deadline = time.monotonic() + wait_s
    failed: list[str] = []
    judged = 0
    while True:
        left, done = [], judged
        for one in running:
            with judge.client.faults():
                batch = judge.client.connection.batches.retrieve(one.batch_id)
            counts = batch.request_counts
            completed = 0 if counts is None else counts.completed
            done += completed
            if batch.status != "completed" and batch.status not in ENDED:
                left.append(one)
                continue
            judged += completed
            _fetch(judge, waiting, batch.output_file_id)  # one that expired has a part of them
            one.forget()
            if batch.status in ENDED:
                failed.append(f"the batch {one.batch_id} has {batch.status}")
        running = left
        if not running:
            break
        names = ", ".join(one.batch_id for one in running)
        title = "batch" if len(running) == 1 else "batches"
        told = f"{title} {names}: {done} of {len(waiting)} judged"
        report(progress, min(done / len(waiting), 1.0), told)
        if time.monotonic() >= deadline:
            break
        sleep(min(POLL_S, max(deadline - time.monotonic(), 0.01)))
    if failed:
        raise ProviderRefused("; ".join(failed), remedy="run again, or without --batch")
    return [one.batch_id for one in running]


def _resume(
    judge: Judge, waiting: Mapping[str, Item], folder: Path, *, named: bool
) -> list[_Batch]:
    """The batches under way that ask something of what is waiting. A note whose batch was never
    made is removed."""
    found = []
    for path, note in _notes(folder, skip_broken=named):
        keys = _asked(path, note, waiting)
        if waiting.keys().isdisjoint(keys):
            continue
        if note.batch_id is not None:
            found.append(_Batch(note.batch_id, path))
        elif named:
            continue
        elif (made := _find_made(judge, path)) is not None:
            _write(path, keys, made)
            found.append(_Batch(made, path))
        else:
            path.unlink(missing_ok=True)
    return found


def _asked(path: Path, note: _Note, waiting: Mapping[str, Item]) -> Sequence[str]:
    """The keys that a batch asks; none where its note has no keys, nor the name of these."""
    if note.keys is not None:
        return note.keys
    return list(waiting) if path.stem == _name(waiting) else ()


def _left(waiting: Mapping[str, Item], folder: Path) -> dict[str, Item]:
    """What no batch under way asks."""
    asked = {key for path, note in _notes(folder) for key in _asked(path, note, waiting)}
    return {key: item for key, item in waiting.items() if key not in asked}


def _find_made(judge: Judge, path: Path) -> str | None:
    """The batch that bears the note's name, made since the note was; None where there is none."""
    since = path.stat().st_mtime - CLOCKS_APART_S
    try:
        with judge.client.faults():
            for batch in judge.client.connection.batches.list(limit=100):  # the newest first
                if batch.created_at < since:
                    return None
                if (batch.metadata or {}).get(NAMED_BY) == path.stem:
                    return batch.id
    except ProviderRefused as error:
        raise ProviderRefused(
            f"a batch may have been made and its id was lost, and the server does not list its "
            f"batches ({error.message})",
            remedy=f"name it with --batch-id, or remove {path} to pay for a new one",
        ) from None
    return None


def _submit(judge: Judge, left: Mapping[str, Item], folder: Path) -> Iterator[_Batch]:
    lines = ((key, _line(judge, key, item)) for key, item in left.items())
    for keys, body in cut_into_files(lines):
        path = folder / f"{_name(keys)}.json"
        _write(path, keys, None)
        try:
            made = _make(judge, body, path.stem)
        except ProviderRefused:
            path.unlink()
            raise
        _write(path, keys, made)
        yield _Batch(made, path)


def _make(judge: Judge, body: bytes, name: str) -> str:
    with judge.client.faults():
        connection = judge.client.connection
        uploaded = connection.files.create(file=("judge.jsonl", body), purpose="batch")
        # Asked once: a retry after a lost answer would pay for a second batch.
        return (
            connection.with_options(max_retries=0)
            .batches.create(
                input_file_id=uploaded.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={NAMED_BY: name},
            )
            .id
        )


def _line(judge: Judge, key: str, item: Item) -> bytes:
    asked = {
        "custom_id": key,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": judge.request(item),
    }
    return json.dumps(asked).encode() + b"\n"


def _write(path: Path, keys: Sequence[str], batch_id: str | None) -> None:
    note = _Note(keys=list(keys), batch_id=batch_id)
    with full_disk_named(path.parent), atomic_file(path) as temporary:
        temporary.write_text(note.model_dump_json(), encoding="utf-8")


def _notes(folder: Path, *, skip_broken: bool = False) -> Iterator[tuple[Path, _Note]]:
    """Raises StoreError for one that cannot be read."""
    for path in sorted(folder.glob("batch-*.json")):
        try:
            note = _Note.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            if skip_broken:
                continue
            raise StoreError(
                f"cannot read the batch's note {path}",
                remedy="fetch its batch with --batch-id, then remove the file; or remove it and "
                "pay for a new one",
            ) from None
        yield path, note


def _fetch(judge: Judge, waiting: Mapping[str, Item], file_id: str | None) -> None:
    if file_id is None:  # every request of the batch has failed
        return
    with judge.client.faults():
        text = judge.client.connection.files.content(file_id).text
    for raw in text.split("\n"):  # splitlines() also breaks at separators within a text
        try:
            line = _Line.model_validate_json(raw)
        except ValidationError:
            continue
        item = waiting.get(line.custom_id)
        if item is None or line.response is None or line.response.status_code != 200:
            continue
        try:
            completion = judge.client.read(json.dumps(line.response.body).encode())
        except GenerationError:
            continue
        judge.keep(line.custom_id, completion, item)


def _name(keys: Iterable[str]) -> str:
    """Of a note and its batch."""
    return f"batch-{hashlib.sha256(''.join(sorted(keys)).encode()).hexdigest()[:16]}"
