"""Lines of JSON into the spool: what a script logs without a library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO

from ragdiag.errors import InputError, StoreError
from ragdiag.instrumentation.assembly import Unloggable, build_feedback, build_request
from ragdiag.instrumentation.drafts import FeedbackDraft
from ragdiag.instrumentation.lines import read_draft
from ragdiag.privacy.pseudonyms import stored_user, user_key
from ragdiag.records import Reject, Request
from ragdiag.settings import Workspace
from ragdiag.store.kinds import Record
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.spool import SpoolWriter

MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class LoggedLines:
    """``spooled`` lines are on disk, fsynced; ``rejects`` say which were not, and why."""

    spooled: int
    rejects: tuple[Reject, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "spooled": self.spooled,
            "rejects": [{"line": one.line, "reason": one.reason} for one in self.rejects],
        }

    def to_text(self) -> str:
        told = [f"line {one.line}: {one.reason}" for one in self.rejects]
        return "\n".join([f"spooled {self.spooled}, rejected {len(self.rejects)}", *told])


def log_lines(workspace: Workspace, lines: BinaryIO, version_id: str = "") -> LoggedLines:
    """Spool every line, in the spool's own form or in the short one (docs/logging.md), where
    ``version_id`` stands for requests that name none. Bad lines are told, the others are kept.

    Raises StoreError where there is no workspace or it cannot be written.
    """
    if not workspace.exists:
        raise StoreError(
            f"there is no workspace in {workspace.root}",
            remedy="name it with --workspace, or make one (ragdiag import)",
        )
    spooled = 0
    rejects = []
    with SpoolWriter(workspace, writer="log") as spool:
        for number, line in _numbered(lines):
            try:
                spool.write(_record(workspace, line, version_id))
                spooled += 1
            except (BadLine, Unloggable, InputError) as error:
                rejects.append(Reject("log", number, str(error)))
    return LoggedLines(spooled, tuple(rejects))


def _numbered(lines: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines that hold anything; of one that is too long only its beginning, which is too long."""
    number = 0
    while line := lines.readline(MOST_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > MOST_BYTES and not rest.endswith(b"\n"):
            rest = lines.readline(MOST_BYTES + 1)
        if line.strip():
            yield number, line


def _record(workspace: Workspace, line: bytes, version_id: str) -> Record:
    if len(line) > MOST_BYTES:
        raise BadLine(f"longer than {MOST_BYTES // 1_000_000} MB")
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        raise BadLine("not JSON") from None
    if not isinstance(body, dict):
        raise BadLine("not a JSON object")
    pseudonym = partial(user_key, workspace)
    if "schema" in body:
        record = parse_line(line)
        if isinstance(record, Request):
            record = replace(record, user_key=stored_user(record.user_key, pseudonym))
        return record
    draft = read_draft(body, version_id)
    if isinstance(draft, FeedbackDraft):
        return build_feedback(draft)
    return build_request(draft, pseudonym, log_depth=None)
