"""The batch API: one upload, polled, taken up again, and what came back broken asked once more."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ragdiag.errors import ProviderRefused, StoreError
from ragdiag.grading.contract import Item
from ragdiag.grading.judge_batch import run_batch
from tests.faulty_server import FaultyServer
from tests.grading.conftest import CORRECT, Judged, completion

ITEMS = [Item(f"r{n}", "How many?", f"{n} of them.", golds=(str(n),)) for n in range(3)]


class BatchServer:
    """Files and batches as the provider has them; ``status`` is what its batch says."""

    def __init__(self, server: FaultyServer) -> None:
        self._server = server
        self.status = "in_progress"
        self.created = 0
        self.output = ""
        server.respond = self.respond

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        path, post = handler.path.removeprefix("/v1"), handler.command == "POST"
        if path == "/files":
            body: Any = {"id": "file-in", "object": "file", "purpose": "batch"}
        elif path == "/batches" and post:
            self.created += 1
            body = {"id": f"batch-{self.created}", "status": "validating"}
        elif path.startswith("/batches/"):
            counts = {"completed": 1, "failed": 0, "total": 3}
            done = "file-out" if self.status == "completed" else None
            body = {"id": path.split("/")[2], "status": self.status, "request_counts": counts}
            body["output_file_id"] = done
        elif path == "/files/file-out/content":
            body = self.output.encode()
        else:
            body = completion(CORRECT)
        respond = self._server.respond
        self._server.answers(200, body)
        self._server.respond, answer = respond, self._server.respond
        answer(handler)

    def uploaded(self) -> list[dict[str, Any]]:
        (upload,) = self._server.uploads
        return [
            json.loads(line) for line in upload.splitlines() if line.startswith(b'{"custom_id"')
        ]


def line(custom_id: str, reply: object, status: int = 200) -> str:
    response = {"status_code": status, "body": completion(reply)}
    return json.dumps({"custom_id": custom_id, "response": response, "error": None}) + "\n"


@pytest.fixture
def server(faulty_server: FaultyServer) -> BatchServer:
    return BatchServer(faulty_server)


def test_a_batch_is_taken_up_again_and_its_broken_replies_are_asked_once_more(
    judge: Judged, server: BatchServer, faulty_server: FaultyServer, tmp_path: Path
) -> None:
    said: list[str] = []
    one = judge()
    under_way = run_batch(one, ITEMS, tmp_path, progress=lambda _, message: said.append(message))
    assert under_way == "batch-1"
    assert said == ["batch batch-1: 1 of 3 judged"]
    assert run_batch(judge(), ITEMS, tmp_path) == "batch-1"
    assert server.created == 1

    asked = server.uploaded()
    assert [entry["url"] for entry in asked] == ["/v1/chat/completions"] * 3
    assert asked[0]["body"]["response_format"]["type"] == "json_schema"
    keys = [entry["custom_id"] for entry in asked]
    wrong = {"reason": "no", "verdict": "incorrect"}
    server.output = (
        line(keys[0], CORRECT)
        + line(keys[1], wrong)
        + line(keys[2], "hm")
        + line("another's", CORRECT)
        + "broken\n"
    )
    server.status = "completed"
    assert run_batch(judge(), ITEMS, tmp_path) is None
    before = len(faulty_server.seen)
    assert [grade.y for grade in judge().grade(ITEMS)] == [1, 0, 1]
    assert len(faulty_server.seen) == before + 1  # the third alone, which the batch had broken
    assert run_batch(judge(), ITEMS, tmp_path) is None
    assert server.created == 1


def test_waiting_polls_until_the_batch_is_done(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        server.status = "completed"

    server.output = ""
    assert run_batch(judge(), ITEMS, tmp_path, wait_s=60, sleep=sleep) is None
    assert naps == [10]


def test_a_named_batch_is_fetched_without_a_new_one(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    one = judge()
    server.status = "completed"
    server.output = "".join(line(key, CORRECT) for key in one.unasked(ITEMS))
    assert run_batch(one, ITEMS, tmp_path, batch_id="batch-7") is None
    assert (server.created, one.plan(ITEMS).calls) == (0, 0)


def test_a_batch_that_failed_says_so_and_is_forgotten(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    server.status = "expired"
    with pytest.raises(ProviderRefused, match="batch-1 has expired; run again"):
        run_batch(judge(), ITEMS, tmp_path)
    server.status = "in_progress"
    assert run_batch(judge(), ITEMS, tmp_path) == "batch-2"
    (note,) = tmp_path.glob("batch-*.json")
    note.write_text("{")
    with pytest.raises(StoreError, match="--batch-id"):
        run_batch(judge(), ITEMS, tmp_path)
