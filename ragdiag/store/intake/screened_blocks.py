"""Blocks of lines without what may not be stored, and without whom the workspace has forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.privacy.screening import Screen
from ragdiag.records import Reject, Span
from ragdiag.settings import Workspace
from ragdiag.store.intake.parsing import Parsed, cut_body
from ragdiag.store.intake.screening import SCREENED_TEXTS, screen_records, screen_requests
from ragdiag.store.intake.segment_lines import record_line, refused_line
from ragdiag.store.kinds import Record
from ragdiag.store.rows import requests_from_table
from ragdiag.store.upkeep.forgotten import REASON, find_forgotten, request_tombstone, tombstones

_ESCAPED = re.compile(rb"\\u00[4-7]")
"""An ASCII letter or underscore as an escape, which no usual writer makes."""


def screen_block(screen: Screen, parsed: Parsed) -> Parsed:
    """What a block holds as it may be stored, and the lines that the archive gets instead."""
    requests = screen_requests(screen, parsed.requests)
    exchanged = _exchanged_requests(parsed, requests)
    screened = screen_records(screen, [record for _, record in parsed.records])
    records: list[tuple[int, Record]] = []
    for (number, came), record in zip(parsed.records, screened, strict=True):
        records.append((number, record))
        if record is not came:
            exchanged[number] = record_line(record)
    rejects, bodies = _screen_rejects(screen, parsed)
    exchanged |= bodies
    lines = list(parsed.block.lines)
    for number, line in exchanged.items():
        lines[number - parsed.block.first] = line
    block = replace(parsed.block, lines=lines)
    return replace(
        parsed,
        block=block,
        requests=requests,
        records=records,
        rejects=rejects,
        exchanged=exchanged,
    )


def _exchanged_requests(parsed: Parsed, requests: Any) -> dict[int, bytes]:
    """The lines of those requests that may not stay as they came, by their numbers. Where that is
    the user alone, as in a foreign service's whole log, the line is not written anew: that took
    six times as long as all the rest of ingest."""
    lines: dict[int, bytes] = {}
    texts = _differ(parsed.requests, requests, SCREENED_TEXTS)
    users = _differ(parsed.requests, requests, ("user_key",))
    named = pc.and_(users, pc.invert(texts))
    came, kept = parsed.requests.filter(named), requests.filter(named)
    keys = zip(*(table["user_key"].to_pylist() for table in (came, kept)), strict=True)
    for number, (before, after) in zip(kept["line"].to_pylist(), keys, strict=True):
        line = parsed.block.lines[number - parsed.block.first]
        # No text can hold this: a quote within one has a backslash before it. A line that has the
        # key twice, or might have it in escapes, is written anew.
        said = b'"user_key": ' + json.dumps(before).encode()
        if line.count(said) == line.count(b'"user_key"') == 1 and not _ESCAPED.search(line):
            lines[number] = line.replace(said, b'"user_key": ' + json.dumps(after).encode())
    done = pc.is_in(requests["line"], pa.array(list(lines), requests["line"].type))
    changed = requests.filter(pc.and_(pc.or_(users, texts), pc.invert(done)))
    anew = map(record_line, requests_from_table(changed))
    return lines | dict(zip(changed["line"].to_pylist(), anew, strict=True))


def forgotten_lines(workspace: Workspace, forgotten: frozenset[str], parsed: Parsed) -> set[int]:
    """Numbers of the lines that belong to a forgotten user or request."""
    if not forgotten:
        return set()
    records = [record for _, record in parsed.records]
    places = find_forgotten(workspace, forgotten, records)
    gone = find_forgotten_requests(workspace, forgotten, parsed.requests)
    numbers = parsed.requests["line"].filter(gone).to_pylist()
    traces = {one.trace_id for place in places if isinstance(one := records[place], Span)}
    refused = {
        number
        for number, trace in parsed.refused.items()
        if trace in traces or (trace and request_tombstone(workspace, trace) in forgotten)
    }
    return {*numbers, *refused, *(parsed.records[place][0] for place in places)}


def find_forgotten_requests(workspace: Workspace, forgotten: frozenset[str], table: Any) -> Any:
    """A mask of the rows of ``table`` (request_id, user_key) that must not come back."""
    made = tombstones(workspace)
    ids = _gone(table["request_id"], lambda one: made("request", one) in forgotten)
    return pc.or_(find_requests_of_forgotten(workspace, forgotten, table), ids)


def find_requests_of_forgotten(workspace: Workspace, forgotten: frozenset[str], table: Any) -> Any:
    """A mask of the rows of ``table`` whose user was forgotten, whatever their ids."""
    made = tombstones(workspace)
    return _gone(table["user_key"], lambda user: made("user", user) in forgotten)


def without_lines(parsed: Parsed, gone: Collection[int]) -> Parsed:
    """The block without these lines, each of them a reject that says no more than why."""
    if not gone:
        return parsed
    kept = pc.invert(pc.is_in(parsed.requests["line"], pa.array(sorted(gone), pa.int64())))
    return replace(
        parsed,
        requests=parsed.requests.filter(kept),
        records=[(number, record) for number, record in parsed.records if number not in gone],
        rejects=[
            *(reject for reject in parsed.rejects if reject.line not in gone),
            *(Reject(parsed.block.segment, number, REASON) for number in sorted(gone)),
        ],
    )


def _differ(before: Any, after: Any, names: Sequence[str]) -> Any:
    """A mask of the rows of which a column of ``names`` has changed."""
    changed = pa.chunked_array([pa.repeat(False, before.num_rows)])
    for name in names:
        if after[name] is not before[name]:
            changed = pc.or_(changed, pc.invert(_same(before[name], after[name])))
    return changed


def _same(before: Any, after: Any) -> Any:
    if pa.types.is_list(before.type):  # Arrow compares no lists
        pairs = zip(before.to_pylist(), after.to_pylist(), strict=True)
        return pa.array([came == kept for came, kept in pairs], pa.bool_())
    return pc.equal(pc.fill_null(before, ""), pc.fill_null(after, ""))


def _screen_rejects(screen: Screen, parsed: Parsed) -> tuple[list[Reject], Mapping[int, bytes]]:
    """Rejects with their bodies screened whole before they are cut, and the lines they leave.

    Of a line that was too long to be read only its head was looked through, and only that stays.
    A line that tells what was refused stays one, so that it can be loaded again.
    """
    heads = {number: head for number, _, head in parsed.block.unread}
    came = [
        reject.body
        if reject.line in parsed.refused
        else heads.get(reject.line, parsed.block.lines[reject.line - parsed.block.first]).decode(
            errors="replace"
        )
        for reject in parsed.rejects
    ]
    kept = screen.bodies(came)
    reasons = screen.redact([reject.reason for reject in parsed.rejects])
    rejects = [
        replace(reject, body=cut_body(body), reason=reason or "")
        for reject, body, reason in zip(parsed.rejects, kept, reasons, strict=True)
    ]
    lines = {
        reject.line: body.encode()
        for reject, before, body in zip(parsed.rejects, came, kept, strict=True)
        if body != before or reject.line in heads
    }
    lines |= {
        reject.line: refused_line(reject)
        for reject, before in zip(rejects, parsed.rejects, strict=True)
        if reject.line in parsed.refused and reject != before
    }
    return rejects, lines


def _gone(column: Any, is_gone: Any) -> Any:
    found: Sequence[str] = [one for one in pc.unique(column).to_pylist() if one and is_gone(one)]
    return pc.fill_null(pc.is_in(column, pa.array(found, pa.string())), False)
