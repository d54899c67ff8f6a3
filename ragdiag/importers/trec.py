"""TREC files: relevance judgments (qrels) and runs, read and written in trec_eval's formats.

Fields are separated by white space; empty lines and lines that begin with # are skipped. These
files are scored as a whole, so a bad line refuses the file instead of becoming a reject.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ragdiag.errors import InputError
from ragdiag.records import Hit

Value = TypeVar("Value", int, float)

QRELS_LINE = "query_id 0 passage_id relevance"
RUN_LINE = "query_id Q0 passage_id rank score run_id"


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Grades by query and passage from lines ``query_id iteration passage_id relevance``.

    Raises InputError naming file and line where fields are missing, the relevance is not a whole
    number or a passage is judged twice, and for a file that cannot be read or is empty.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, fields in _read_lines(path):
        if len(fields) != 4:
            raise _bad_line(path, number, f"has {len(fields)} fields, not 4", QRELS_LINE)
        query_id, _, passage_id, relevance = fields
        try:
            grade = int(relevance)
        except ValueError:
            message = f"has the relevance {relevance!r}, which is not a whole number"
            raise _bad_line(path, number, message, QRELS_LINE) from None
        _add_once(qrels.setdefault(query_id, {}), passage_id, grade, f"{path}:{number}")
    return _not_empty(qrels, path, QRELS_LINE)


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """Scores by query and passage from lines ``query_id Q0 passage_id rank score run_id``.

    The rank is not read: trec_eval ranks by score. Fields after the run's name are ignored. Raises
    InputError as :func:`read_qrels`; a score must be a number.
    """
    run: dict[str, dict[str, float]] = {}
    for number, fields in _read_lines(path):
        if len(fields) < 6:
            raise _bad_line(path, number, f"has {len(fields)} fields, not 6", RUN_LINE)
        query_id, _, passage_id, _, text, *_ = fields
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if math.isnan(score):
            raise _bad_line(path, number, f"has the score {text!r}, not a number", RUN_LINE)
        _add_once(run.setdefault(query_id, {}), passage_id, score, f"{path}:{number}")
    return _not_empty(run, path, RUN_LINE)


def read_run_id(path: Path) -> str:
    """The run's own name: the sixth field of its last line. Raises InputError as `read_run`."""
    run_id = ""
    for number, fields in _read_lines(path):
        if len(fields) < 6:
            raise _bad_line(path, number, f"has {len(fields)} fields, not 6", RUN_LINE)
        run_id = fields[5]
    return run_id


def write_run(path: Path, rankings: Mapping[str, Sequence[Hit]], tag: str) -> None:
    """Write ranked hits by query as a TREC run named ``tag``; the file appears whole or not at all.

    A passage found twice in one list is written once, at its first rank. Scores are written in
    full, but trec_eval compares them as float32: hits closer than that are ties, which it orders
    by descending passage id. Raises InputError for an id with white space, which the format cannot
    hold, for a score that is not finite, and where the file cannot be written.
    """
    lines = []
    for query_id, hits in rankings.items():
        first = {hit.passage_id: hit for hit in reversed(hits)}
        ranked = [first[passage_id] for passage_id in dict.fromkeys(h.passage_id for h in hits)]
        for rank, hit in enumerate(ranked, start=1):
            _check_writable((query_id, hit.passage_id, tag), hit.score)
            lines.append(f"{query_id} Q0 {hit.passage_id} {rank} {float(hit.score)!r} {tag}\n")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text("".join(lines), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path} ({error.strerror})",
            remedy="name a file in a folder you can write",
        ) from None


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of every line that is neither empty nor a comment."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read {path} ({reason})", remedy="name a TREC file") from None
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if fields and not line.startswith("#"):
            yield number, fields


def _add_once(row: dict[str, Value], passage_id: str, value: Value, where: str) -> None:
    if passage_id in row:
        raise InputError(
            f"{where} names passage {passage_id} a second time for its query",
            remedy="remove one of the two lines",
        )
    row[passage_id] = value


def _not_empty(
    rows: dict[str, dict[str, Value]], path: Path, expected: str
) -> dict[str, dict[str, Value]]:
    if not rows:
        raise InputError(f"{path} has no lines", remedy=f"expected lines as: {expected}")
    return rows


def _bad_line(path: Path, number: int, what: str, expected: str) -> InputError:
    return InputError(f"{path}:{number} {what}", remedy=f"expected: {expected}")


def _check_writable(names: Sequence[str], score: float) -> None:
    for name in names:
        if len(name.split()) != 1 or name.split() != [name]:
            raise InputError(
                f"{name!r} cannot stand in a TREC run", remedy="use an id without white space"
            )
    if not math.isfinite(score):
        raise InputError(
            f"the score of passage {names[1]} for query {names[0]} is {score}",
            remedy="only finite scores can be written to a run",
        )
