"""Readings become rows of the workspace, batch by batch; what was read twice counts once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ragdiag.importers.logs.gold_loading import GoldLoader
from ragdiag.importers.logs.log_report import SHOWN_REJECTS, KindCounts
from ragdiag.importers.logs.reading import Reading
from ragdiag.importers.logs.screening import screen_readings
from ragdiag.importers.logs.segments import load_segments, make_segments
from ragdiag.importers.report import Origin, keep_rejects
from ragdiag.privacy.screening import open_screen
from ragdiag.records import Feedback, Passage, Reject, Request
from ragdiag.settings import Workspace
from ragdiag.store.asked import asked_times
from ragdiag.store.gold import GoldChange
from ragdiag.store.intake.turned_away import forget_requests
from ragdiag.store.kinds import Record, kind_of, record_to_json
from ragdiag.store.lake import Lake
from ragdiag.store.lines import BadLine, find_problem, parse_line
from ragdiag.store.upkeep.forgotten import REASON, all_forgotten, find_forgotten

BATCH_READINGS = 5_000
BATCH_BYTES = 16_000_000
REMEMBERED_PASSAGES = 200_000
"""Passages not to be spooled again within an import; beyond them, ingest tells repeats apart."""


class Door:
    """Collects readings and loads them. Without a lake (a dry run) it only counts."""

    def __init__(self, lake: Lake | None, workspace: Workspace) -> None:
        self._lake = lake
        self._workspace = workspace
        self._readings: list[tuple[Reading, list[bytes]]] = []
        self._bytes = 0
        self._passages: set[tuple[str, int]] = set()
        self._gold = GoldLoader()
        self._forgotten = self._read_forgotten()
        self._turned_away: set[str] = set()
        self.counts: dict[str, KindCounts] = {}
        self.reasons: Counter[str] = Counter()
        self.shown: list[Reject] = []
        self._rejects: list[Reject] = []

    def add(self, reading: Reading) -> bool:
        """Take one reading in; False where it is a reject."""
        kept = replace(reading, records=tuple(filter(self._is_fresh, reading.records)))
        lines = (
            reading.fault
            or self._forgotten_fault(reading)
            or self._gold.fault(reading)
            or _encode_all(kept)
        )
        if isinstance(lines, str):
            # Without the row itself: it may name its user, and file and line find it again.
            self.refuse([Reject(reading.origin.source, reading.origin.line, lines)])
            if lines == REASON:
                self._turned_away |= _request_ids([reading])
            return False
        self._remember(kept.records)
        self._readings.append((kept, lines))
        self._bytes += sum(map(len, lines))
        if len(self._readings) >= BATCH_READINGS or self._bytes >= BATCH_BYTES:
            self.flush()
        return True

    def refuse(self, rejects: Iterable[Reject]) -> None:
        """Keep rejects in the workspace and count their reasons."""
        found = list(rejects)
        self.reasons.update(_general(reject.reason) for reject in found)
        self.shown += found[: SHOWN_REJECTS - len(self.shown)]
        self._rejects += found
        if len(self._rejects) >= BATCH_READINGS:
            self._keep_rejects()

    def flush(self) -> None:
        """Load what was collected: on return it can be read."""
        batch, self._readings, self._bytes = self._readings, [], 0
        if self._lake is None:
            self._count_only(batch)
            return
        self._forget_turned_away(self._lake, _request_ids(reading for reading, _ in batch))
        self._forgotten = self._read_forgotten()
        batch = _screened(self._workspace, batch)
        for kind, change in self._gold.load(self._lake, [reading for reading, _ in batch]):
            self._count_change(kind, change)
        lines: dict[str, list[bytes]] = {}
        origins: dict[str, list[Origin]] = {}
        for reading, encoded in _with_stored_times(self._lake, batch):
            for record, line in zip(reading.records, encoded, strict=True):
                lines.setdefault(kind_of(record), []).append(line)
                origins.setdefault(kind_of(record), []).append(reading.origin)
        segments = [
            segment for kind in lines for segment in make_segments(kind, lines[kind], origins[kind])
        ]
        if segments:
            counts, rejects = load_segments(self._lake, self._workspace, segments)
            for kind, count in counts.items():
                self._count(kind, count.new, count.repeated, count.rejected)
            self.refuse(rejects)
        self._keep_rejects()

    def finish(self) -> None:
        """Load the rest, and which passages are gold."""
        self.flush()
        judged = None if self._lake is None else self._gold.finish(self._lake)
        if judged is not None:
            self._count_change("judgment", judged[0])
            self.refuse(judged[1])
            self._keep_rejects()

    def _keep_rejects(self) -> None:
        if self._lake is not None and self._rejects:
            keep_rejects(self._lake, self._rejects)
        self._rejects = []

    def _read_forgotten(self) -> frozenset[str]:
        if self._lake is None:
            return frozenset()
        return self._lake.read(lambda cursor: all_forgotten(cursor, self._workspace))

    def _forgotten_fault(self, reading: Reading) -> str | None:
        """Why a row of a forgotten user is turned away whole: its gold and its passages name
        nobody, so ingest could not tell whose they are."""
        requests = [record for record in reading.records if isinstance(record, Request)]
        return REASON if find_forgotten(self._workspace, self._forgotten, requests) else None

    def _forget_turned_away(self, lake: Lake, let_in: set[str]) -> None:
        """Keep tombstones of what was turned away since: what is said of it comes by itself, in
        this import or another one."""
        ids, self._turned_away = self._turned_away - let_in, set()
        if ids:
            lake.write(
                lambda cursor: forget_requests(cursor, self._workspace, self._forgotten, ids)
            )

    def _is_fresh(self, record: Record) -> bool:
        return not isinstance(record, Passage) or _text_key(record) not in self._passages

    def _remember(self, records: Iterable[Record]) -> None:
        for record in records:
            if isinstance(record, Passage):
                if len(self._passages) >= REMEMBERED_PASSAGES:
                    self._passages.clear()
                self._passages.add(_text_key(record))

    def _count_change(self, kind: str, change: GoldChange) -> None:
        self._count(kind, change.added + change.replaced, change.unchanged, len(change.rejects))

    def _count(self, kind: str, new: int, repeated: int = 0, rejected: int = 0) -> None:
        counts = self.counts.setdefault(kind, KindCounts())
        counts.new += new
        counts.repeated += repeated
        counts.rejected += rejected

    def _count_only(self, batch: Iterable[tuple[Reading, list[bytes]]]) -> None:
        for reading, _ in batch:
            for record in reading.records:
                self._count(kind_of(record), 1)
            for kind, gold in (("question", reading.question), ("gold_answer", reading.gold)):
                if gold is not None:
                    self._count(kind, 1)
            if reading.gold_passages:
                self._count("judgment", len(reading.gold_passages))
        self._rejects = []


def _request_ids(readings: Iterable[Reading]) -> set[str]:
    return {
        record.request_id
        for reading in readings
        for record in reading.records
        if isinstance(record, Request)
    }


def _text_key(passage: Passage) -> tuple[str, int]:
    return passage.passage_id, hash((passage.title, passage.text))


def _encode_all(reading: Reading) -> list[bytes] | str:
    """The records as lines; or why one of them could not be stored, and then none is."""
    lines = []
    for record in reading.records:
        problem = find_problem(record)
        if problem is None:
            try:
                lines.append(_encode(record))
                if b"\\u0000" in lines[-1]:
                    parse_line(lines[-1])
            except BadLine as bad:
                problem = str(bad)
            except UnicodeEncodeError:
                problem = "not valid Unicode (a lone surrogate)"
            except (ValueError, TypeError) as error:
                problem = str(error)
        if problem is not None:
            return problem if isinstance(record, Request) else f"{kind_of(record)}: {problem}"
    return lines


def _encode(record: Record) -> bytes:
    body = json.dumps(record_to_json(record), ensure_ascii=False, allow_nan=False)
    return body.encode() + b"\n"


def _screened(
    workspace: Workspace, batch: Sequence[tuple[Reading, list[bytes]]]
) -> list[tuple[Reading, list[bytes]]]:
    screened = screen_readings(open_screen(workspace), [reading for reading, _ in batch])
    return [
        (kept, lines if kept is came else list(map(_encode, kept.records)))
        for (came, lines), kept in zip(batch, screened, strict=True)
    ]


def _with_stored_times(
    lake: Lake, batch: list[tuple[Reading, list[bytes]]]
) -> list[tuple[Reading, list[bytes]]]:
    """A request whose source has no time keeps the time it was first stored with."""
    wanted = [
        record.request_id
        for reading, _ in batch
        if reading.timeless
        for record in reading.records
        if isinstance(record, Request)
    ]
    if not wanted:
        return batch
    stored = asked_times(lake, wanted)
    return [
        _at_stored_time(reading, lines, stored) if reading.timeless else (reading, lines)
        for reading, lines in batch
    ]


def _at_stored_time(
    reading: Reading, lines: list[bytes], stored: Mapping[str, datetime]
) -> tuple[Reading, list[bytes]]:
    request = next((one for one in reading.records if isinstance(one, Request)), None)
    if request is None or stored.get(request.request_id, request.asked_at) == request.asked_at:
        return reading, lines
    at = stored[request.request_id]
    records = tuple(_moved(record, request.asked_at, at) for record in reading.records)
    return replace(reading, records=records), [_encode(record) for record in records]


def _moved(record: Record, old: datetime, new: datetime) -> Record:
    if isinstance(record, Request):
        return replace(record, asked_at=new)
    if isinstance(record, Feedback) and record.given_at == old:
        return replace(record, given_at=new)
    return record


def _general(reason: str) -> str:
    """The reason without its particulars, so that the same fault counts together."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\b[0-9][0-9.]*\b", "…", reason)[:200]
