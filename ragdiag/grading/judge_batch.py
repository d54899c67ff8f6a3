"""Many judgements at half the price, through the provider's batch API: uploaded once, fetched when
ready, however often the command that waits is killed.

A batch is remembered in the judge's cache folder by what it asks, so that the same command takes
up the same batch; its id may also be named. Replies go into the cache and grading reads them there.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ragdiag.errors import GenerationError, ProviderRefused, StoreError
from ragdiag.grading.contract import Item
from ragdiag.grading.judge import Judge
from ragdiag.progress import Progress, report
from ragdiag.retrieval.files import atomic_file

POLL_S = 10.0
ENDED = ("failed", "expired", "cancelled")


class _Response(BaseModel):
    status_code: int
    body: Any = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None


def run_batch(
    judge: Judge,
    items: Sequence[Item],
    folder: Path,
    *,
    batch_id: str | None = None,
    wait_s: float = 0.0,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Have what ``judge`` does not know yet of ``items`` judged in one batch, kept in its cache.

    Returns None when the replies are in, else the id of the batch that is under way after
    ``wait_s``: call again, later. Replies that are no judgement are left for ``judge.grade`` to ask
    for once more. Raises ProviderRefused where the batch has failed, and as ChatClient does.
    """
    waiting = judge.unasked(items)
    if not waiting:
        return None
    note = folder / f"batch-{_digest(waiting)}.json"
    chosen = batch_id or _remembered(note) or _submit(judge, waiting, note)
    deadline = time.monotonic() + wait_s
    while True:
        with judge.client.faults():
            batch = judge.client.connection.batches.retrieve(chosen)
        if batch.status == "completed":
            _fetch(judge, waiting, batch.output_file_id)
            note.unlink(missing_ok=True)
            return None
        if batch.status in ENDED:
            note.unlink(missing_ok=True)
            raise ProviderRefused(
                f"the batch {chosen} has {batch.status}", remedy="run again, or without --batch"
            )
        counts = batch.request_counts
        done = 0 if counts is None else counts.completed
        report(progress, done / len(waiting), f"batch {chosen}: {done} of {len(waiting)} judged")
        if time.monotonic() >= deadline:
            return chosen
        sleep(min(POLL_S, max(deadline - time.monotonic(), 0.01)))


def _submit(judge: Judge, waiting: Mapping[str, Item], note: Path) -> str:
    lines = [
        {
            "custom_id": key,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": judge.request(item),
        }
        for key, item in waiting.items()
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with judge.client.faults():
        connection = judge.client.connection
        uploaded = connection.files.create(file=("judge.jsonl", body), purpose="batch")
        batch = connection.batches.create(
            input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    with atomic_file(note) as temporary:
        temporary.write_text(json.dumps({"batch_id": batch.id}), encoding="utf-8")
    return batch.id


def _remembered(note: Path) -> str | None:
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["batch_id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            f"cannot read the batch's note {note}",
            remedy="name its batch with --batch-id, or remove the file to pay for a new one",
        ) from None


def _fetch(judge: Judge, waiting: Mapping[str, Item], file_id: str | None) -> None:
    if file_id is None:  # every request of the batch has failed
        return
    with judge.client.faults():
        text = judge.client.connection.files.content(file_id).text
    for raw in text.splitlines():
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


def _digest(waiting: Mapping[str, Item]) -> str:
    return hashlib.sha256("".join(sorted(waiting)).encode()).hexdigest()[:16]
