"""The batch API: one upload, polled, taken up again, and what came back broken asked once more."""

from __future__ import annotations

import json
import time
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.errors import ProviderRefused, StoreError
from ragdiag.grading import judge_batch
from ragdiag.grading.batch_files import cut_into_files
from ragdiag.grading.contract import Item
from ragdiag.grading.judge_batch import run_batches
from tests.faulty_server import FaultyServer, reply
from tests.grading.conftest import CORRECT, Judged, completion


def items_of(count: int) -> list[Item]:
    return [Item(f"r{n}", "How many?", f"{n} of them.", golds=(str(n),)) for n in range(count)]


ITEMS = items_of(3)


class BatchServer:
    """Files and batches as the provider has them. A batch is in progress, unless ``ended`` says
    otherwise; its output is what ``replies`` has for the keys of its file."""

    def __init__(self, server: FaultyServer) -> None:
        self._server = server
        self.status = "in_progress"
        self.ended: dict[str, str] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.names: dict[str, str] = {}
        self.asked: dict[str, list[str]] = {}
        self.replies: dict[str, str] = {}
        self.lists = True
        self.fails_after: int | None = None
        server.respond = self.respond

    @property
    def created(self) -> int:
        return len(self.asked)

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        status, body = 200, self._body(handler.path.removeprefix("/v1"), handler.command == "POST")
        if body is None:
            status, body = 404, {"error": {"message": "not here"}}
        reply(handler, status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def _body(self, path: str, post: bool) -> Any:
        if path == "/files":
            self.files[f"file-{len(self.files) + 1}"] = self._upload(self._server.uploads[-1])
            return {"id": f"file-{len(self.files)}", "object": "file", "purpose": "batch"}
        if path == "/batches" and post:
            if self.created == self.fails_after:
                return None
            asked, made = self._server.seen[-1], f"batch-{self.created + 1}"
            self.asked[made] = list(self.files[asked["input_file_id"]])
            self.names[made] = asked["metadata"]["ragdiag"]
            return {"id": made, "status": "validating"}
        if path.startswith("/batches?"):
            return self._listed() if self.lists else None
        if path.startswith("/batches/"):
            return self._state(path.split("/")[2])
        if path.endswith("/content"):
            keys = self.asked.get(path.split("/")[2].removeprefix("out-"), list(self.replies))
            return "".join(self.replies.get(key, "") for key in keys).encode()
        return completion(CORRECT)

    def _upload(self, upload: bytes) -> dict[str, Any]:
        lines = [line for line in upload.splitlines() if line.startswith(b'{"custom_id"')]
        return {entry["custom_id"]: entry for entry in map(json.loads, lines)}

    def _state(self, batch: str) -> dict[str, Any]:
        status = self.ended.get(batch, self.status)
        out = f"out-{batch}" if status in ("completed", "expired") else None
        counts = {"completed": 1, "failed": 0, "total": 3}
        return {"id": batch, "status": status, "request_counts": counts, "output_file_id": out}

    def _listed(self) -> dict[str, Any]:
        data = [
            {"id": one, "created_at": int(time.time()), "metadata": {"ragdiag": self.names[one]}}
            for one in reversed(self.asked)
        ]
        return {"object": "list", "data": data, "has_more": False}


def line(custom_id: str, reply: object, status: int = 200) -> str:
    response = {"status_code": status, "body": completion(reply)}
    told = {"custom_id": custom_id, "response": response, "error": None}
    return json.dumps(told, ensure_ascii=False) + "\n"


@pytest.fixture
def server(faulty_server: FaultyServer) -> BatchServer:
    return BatchServer(faulty_server)


def test_a_batch_is_taken_up_again_and_its_broken_replies_are_asked_once_more(
    judge: Judged, server: BatchServer, faulty_server: FaultyServer, tmp_path: Path
) -> None:
    said: list[str] = []
    one = judge()
    under_way = run_batches(one, ITEMS, tmp_path, progress=lambda _, message: said.append(message))
    assert under_way == ["batch-1"]
    assert said == ["batch batch-1: 1 of 3 judged"]
    assert run_batches(judge(), ITEMS, tmp_path) == ["batch-1"]
    assert server.created == 1

    asked = list(server.files["file-1"].values())
    assert [entry["url"] for entry in asked] == ["/v1/chat/completions"] * 3
    assert asked[0]["body"]["response_format"]["type"] == "json_schema"
    keys = [entry["custom_id"] for entry in asked]
    wrong = {"reason": "no\u2028at all", "verdict": "incorrect"}
    server.replies = {
        keys[0]: line(keys[0], CORRECT) + line("another's", CORRECT) + "broken\n",
        keys[1]: line(keys[1], json.dumps(wrong, ensure_ascii=False)),
        keys[2]: line(keys[2], "hm"),
    }
    server.status = "completed"
    assert run_batches(judge(), ITEMS, tmp_path) == []
    before = len(faulty_server.seen)
    assert [grade.y for grade in judge().grade(ITEMS)] == [1, 0, 1]
    assert len(faulty_server.seen) == before + 1  # the third alone, which the batch had broken
    assert run_batches(judge(), ITEMS, tmp_path) == []
    assert server.created == 1


def test_waiting_polls_until_the_batch_is_done(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        server.status = "completed"

    assert run_batches(judge(), ITEMS, tmp_path, wait_s=60, sleep=sleep) == []
    assert naps == [10]


def test_named_batches_are_fetched_without_a_new_one(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    one = judge()
    server.status = "completed"
    server.replies = {key: line(key, CORRECT) for key in one.unasked(ITEMS)}
    first, *others = server.replies
    server.asked = {"batch-7": [first], "batch-8": others}
    assert run_batches(one, ITEMS, tmp_path, batch_ids=["batch-7", "batch-8"]) == []
    assert (len(server.files), one.plan(ITEMS).calls) == (0, 0)


def test_a_batch_that_failed_says_so_and_is_forgotten(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    server.status = "failed"
    with pytest.raises(ProviderRefused, match="batch-1 has failed; run again"):
        run_batches(judge(), ITEMS, tmp_path)
    server.status = "in_progress"
    assert run_batches(judge(), ITEMS, tmp_path) == ["batch-2"]
    (note,) = tmp_path.glob("batch-*.json")
    note.write_text("{")
    with pytest.raises(StoreError, match="--batch-id"):
        run_batches(judge(), ITEMS, tmp_path)
    assert run_batches(judge(), ITEMS, tmp_path, batch_ids=["batch-2"]) == ["batch-2"]


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that take two requests."""
    small = partial(cut_into_files, most_requests=2)
    monkeypatch.setattr(judge_batch, "cut_into_files", small)


@pytest.mark.usefixtures("of_two")
def test_what_no_file_holds_goes_in_several_that_are_fetched_each_on_its_own(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    items = items_of(5)
    assert run_batches(judge(), items, tmp_path) == ["batch-1", "batch-2", "batch-3"]
    keys = list(judge().unasked(items))
    assert list(server.asked.values()) == [keys[:2], keys[2:4], keys[4:]]
    server.replies = {key: line(key, CORRECT) for key in keys}
    server.ended["batch-2"] = "completed"
    assert sorted(run_batches(judge(), items, tmp_path)) == ["batch-1", "batch-3"]
    assert list(judge().unasked(items)) == [*keys[:2], keys[4]]
    # More to ask: what is under way is not asked again.
    more = run_batches(judge(), items_of(6), tmp_path)
    assert sorted(more) == ["batch-1", "batch-3", "batch-4"]
    assert len(server.asked["batch-4"]) == 1
    server.ended |= {"batch-1": "expired", "batch-3": "completed"}
    del server.replies[keys[1]]  # of the one that expired
    with pytest.raises(ProviderRefused, match="batch-1 has expired"):
        run_batches(judge(), items, tmp_path)
    assert list(judge().unasked(items)) == [keys[1]]
    assert server.created == 4
    assert run_batches(judge(), items, tmp_path) == ["batch-5"]
    assert server.asked["batch-5"] == [keys[1]]


@pytest.mark.usefixtures("of_two")
def test_a_kill_between_two_batches_pays_nothing_twice(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    items = items_of(5)
    server.fails_after = 1
    with pytest.raises(ProviderRefused, match="not here"):
        run_batches(judge(), items, tmp_path)
    server.fails_after = None
    assert sorted(run_batches(judge(), items, tmp_path)) == ["batch-1", "batch-2", "batch-3"]
    asked = [key for keys in server.asked.values() for key in keys]
    assert sorted(asked) == sorted(judge().unasked(items))


def test_a_note_without_keys_is_taken_up_by_its_name_or_passed_over(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    assert run_batches(judge(), ITEMS, tmp_path) == ["batch-1"]
    (note,) = tmp_path.glob("batch-*.json")
    note.write_text('{"batch_id": "batch-1"}')
    (tmp_path / "batch-0123456789abcdef.json").write_text('{"batch_id": "batch-9"}')
    assert run_batches(judge(), ITEMS, tmp_path) == ["batch-1"]
    assert server.created == 1


@pytest.mark.usefixtures("of_two")
def test_a_batch_whose_id_was_lost_in_a_kill_is_found_by_its_name(
    judge: Judged, server: BatchServer, tmp_path: Path
) -> None:
    run_batches(judge(), ITEMS, tmp_path)
    for note in tmp_path.glob("batch-*.json"):
        note.write_text(json.dumps({**json.loads(note.read_text()), "batch_id": None}))
    assert sorted(run_batches(judge(), ITEMS, tmp_path)) == ["batch-1", "batch-2"]
    assert server.created == 2

    note.write_text(json.dumps({**json.loads(note.read_text()), "batch_id": None}))
    server.lists = False
    with pytest.raises(ProviderRefused, match=r"--batch-id, or remove .*batch-"):
        run_batches(judge(), ITEMS, tmp_path)
    server.lists = True
    server.names = dict.fromkeys(server.names, "another's")
    assert "batch-3" in run_batches(judge(), ITEMS, tmp_path)  # it was never made


@given(st.lists(st.binary(max_size=9), max_size=30), st.integers(1, 5), st.integers(1, 20))
def test_files_hold_every_line_once_within_the_limits(
    given_lines: list[bytes], most_requests: int, most_bytes: int
) -> None:
    lines = [(str(n), one) for n, one in enumerate(given_lines)]
    files = list(cut_into_files(lines, most_requests, most_bytes))
    assert [key for keys, _ in files for key in keys] == [key for key, _ in lines]
    assert b"".join(body for _, body in files) == b"".join(given_lines)
    for keys, body in files:
        assert 0 < len(keys) <= most_requests
        assert len(body) <= most_bytes or len(keys) == 1
