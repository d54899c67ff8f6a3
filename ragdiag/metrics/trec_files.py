"""Scores of large TREC files: their lines are read as columns, and a join ranks relevant hits only.

Most measures need no more of a ranking than where its relevant hits stand; those that do, and files
that are written unusually, are for :func:`ragdiag.metrics.trec.score_run`, which gives the same
numbers (and the error, where a file is wrong).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from ragdiag.interrupts import interruptible
from ragdiag.metrics.trec import TrecScores
from ragdiag.metrics.trec_names import Choice, asks_for_run_id, choose_measures

Numbers = NDArray[np.uint64]

_CODED = pa.dictionary(pa.int32(), pa.string())
_QRELS = {"q": _CODED, "i": None, "d": pa.string(), "grade": _CODED}
_RUN = {"q": _CODED, "i": None, "d": pa.string(), "r": None, "s": pa.float64(), "t": None}
"""The fields of a line in order; those without a type are not kept."""

_AT_K = "count(*) filter (relevant and rank <= {k})"
_PRECISIONS = "sum(nth / rank) filter (relevant and rank <= {k})"
_GAIN = "sum(grade / log2(rank + 1)) filter (rank <= {k})"
ENDLESS = 2**31
_ODD_SPACES = b"\x0b\x0c\x1c\x1d\x1e\x1f"
BLOCK = 1 << 22
"""Bytes that one thread reads as columns at a time."""
_CHUNK = 1 << 18
_FIRST_BITS = 24

FORMULAS: Mapping[str, str] = {
    "num_q": "1",
    "num_ret": "any_value(retrieved)",
    "num_rel": "any_value(num_rel)",
    "num_rel_ret": "count(*) filter (relevant)",
    "map": f"{_PRECISIONS} / nullif(any_value(num_rel), 0)",
    "map_cut": f"{_PRECISIONS} / nullif(any_value(num_rel), 0)",
    "recip_rank": "1 / min(rank) filter (relevant)",
    "P": f"{_AT_K} / {{k}}",
    "recall": f"{_AT_K} / nullif(any_value(num_rel), 0)",
    "success": f"least({_AT_K}, 1)",
    "set_P": "count(*) filter (relevant) / any_value(retrieved)",
    "set_recall": "count(*) filter (relevant) / nullif(any_value(num_rel), 0)",
    "ndcg": f"{_GAIN} / nullif(any_value(ideal_{{k}}), 0)",
    "ndcg_cut": f"{_GAIN} / nullif(any_value(ideal_{{k}}), 0)",
}
"""Measure → SQL over one query's hits with a positive grade: their ``rank``, ``grade``, whether
each is ``relevant`` and how many are up to it (``nth``). Something over 0 is 0."""

_RANKED = """
    create temp table ranked as
    select q, grade, grade >= $level as relevant, rank,
           count(*) filter (grade >= $level) over (partition by q order by rank) as nth
    from (select h.q, h.grade, h.above + count(*) as rank
          from (select q, d, grade, tie, above from gold join hits using (q, d)) h
          join hits r on r.tie = h.tie and r.d >= h.d
          group by h.q, h.d, h.grade, h.above)"""


def summarise_files(
    qrels: Path,
    run: Path,
    metrics: Sequence[str],
    relevance_level: int = 1,
    complete: bool = False,
) -> TrecScores | None:
    """As :func:`~ragdiag.metrics.trec.score_run` on what the two files hold, without any query's
    own values; None where a metric needs more of a ranking, where a cutoff is over ENDLESS, where
    no query is in both, where the level is below 1, and where a file's fields are not parted by one
    space or tab, or are not right: a score that is no number, a passage twice.

    Raises InputError for an unknown metric.
    """
    choices = choose_measures(metrics)
    beyond = relevance_level < 1 or asks_for_run_id(metrics)
    if beyond or any(one.measure.name not in FORMULAS or one.cutoff > ENDLESS for one in choices):
        return None
    judged, found = _read_qrels(qrels), _read(run, _RUN)
    if judged is None or found is None:
        return None
    ties = _ties(found)
    if ties is None:
        return None
    with (
        interruptible(),
        ThreadPoolExecutor(2) as beside,  # what it does holds no lock of the interpreter
        duckdb.connect(config={"threads": 2}) as con,
    ):
        judged_pairs = _hash_pairs(con, judged)
        known = _first_bits(judged_pairs)
        halves = (found.slice(0, len(found) // 2), found.slice(len(found) // 2))
        hashed = beside.map(_looked_up, [con.cursor() for _ in halves], halves, [known] * 2)
        pairs, may_be_judged = (np.concatenate(parts) for parts in zip(*hashed, strict=True))
        ordered = beside.submit(np.sort, pairs)
        _register_judged(con, judged, choices, relevance_level)
        _register_found(con, found, ties, may_be_judged)
        if _repeated(np.sort(judged_pairs)).size or _repeated(ordered.result()).size:
            return None
        con.execute(_RANKED, {"level": relevance_level})
        summary = _summary(con, choices, complete)
    if summary is None:
        return None
    return TrecScores(
        labels=tuple(choice.label for choice in choices),
        summary=summary,
        per_query={},
        texts={},
        unjudged=_only_first(found, judged),
        missing=_only_first(judged, found),
    )


def _only_first(lines: pa.Table, others: pa.Table) -> tuple[str, ...]:
    """The queries that ``others`` lacks, in order."""
    own, known = (one["q"].chunk(0).dictionary for one in (lines, others))
    return tuple(sorted(own.filter(pc.invert(pc.is_in(own, known))).to_pylist()))


def _read_qrels(path: Path) -> pa.Table | None:
    lines = _read(path, _QRELS)
    if lines is None:
        return None
    texts = lines["grade"].combine_chunks()
    try:
        grades = pa.array([int(text) for text in texts.dictionary.to_pylist()], pa.int64())
    except (ValueError, OverflowError):
        return None
    return lines.set_column(2, "grade", grades.take(texts.indices))


def _read(path: Path, fields: Mapping[str, pa.DataType | None]) -> pa.Table | None:
    """The fields that have a type; None where a line lacks one, has another type or is a comment,
    and where it is not :func:`_is_regular`."""
    kept = {name: kind for name, kind in fields.items() if kind}
    try:
        delimiter = _delimiter(path, len(fields))
        if delimiter is None:
            return None
        with ThreadPoolExecutor(1) as beside:
            regular = beside.submit(_is_regular, path, delimiter)
            lines = csv.read_csv(
                pa.OSFile(str(path)),
                csv.ReadOptions(column_names=list(fields), block_size=BLOCK),
                csv.ParseOptions(delimiter=delimiter.decode(), quote_char=False),
                csv.ConvertOptions(column_types=kept, include_columns=list(kept), null_values=[]),
            ).unify_dictionaries()
        is_regular = regular.result()
    except (OSError, pa.ArrowInvalid):
        return None
    queries = lines["q"].chunk(0).dictionary
    odd = not is_regular or pc.any(pc.match_substring_regex(queries, "^#|^$")).as_py()
    return None if odd else lines


def _delimiter(path: Path, fields: int) -> bytes | None:
    """The one character that stands between the fields of the first line, if it is one."""
    if not path.is_file():  # a pipe is read once
        return None
    with path.open("rb") as file:
        first = file.readline(10_000)
    return next((d for d in (b" ", b"\t") if len(first.split(d)) == fields), None)


def _is_regular(path: Path, delimiter: bytes) -> bool:
    """Whether no field is empty but at the start of a line, and no byte is no ASCII or other white
    space than ``delimiter``."""
    odd = _ODD_SPACES + (b"\t" if delimiter == b" " else b" ")
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            lines = block + (file.readline() or b"\n")
            if not lines.isascii() or any(byte in lines for byte in odd):
                return False
            text = np.frombuffer(lines, np.uint8)
            if ((text[:-1] == ord(delimiter)) & (text[1:] <= ord(" "))).any():
                return False
    return True


def _hash_pairs(con: duckdb.DuckDBPyConnection, lines: pa.Table) -> Numbers:
    """A hash of each line's query and passage: two pairs that share one send the files the long
    way, as a pair that is there twice does."""
    con.register("lines", lines)
    return np.asarray(con.execute("select hash(q, d) as pair from lines").fetchnumpy()["pair"])


def _repeated(ordered: Numbers) -> Numbers:
    return np.extract(ordered[1:] == ordered[:-1], ordered)


def _first_bits(hashes: Numbers) -> NDArray[np.bool_]:
    """Of every number of _FIRST_BITS bits, whether one of ``hashes`` begins so."""
    known = np.zeros(1 << _FIRST_BITS, np.bool_)
    known[hashes >> np.uint64(64 - _FIRST_BITS)] = True
    return known


def _looked_up(
    con: duckdb.DuckDBPyConnection, lines: pa.Table, known: NDArray[np.bool_]
) -> tuple[Numbers, NDArray[np.bool_]]:
    """The hash of each line, and whether it begins as a ``known`` one: true of all that are among
    them and of few others, and faster than a look-up of each."""
    hashes = _hash_pairs(con, lines)
    return hashes, np.take(known, hashes >> np.uint64(64 - _FIRST_BITS))


def _register_judged(
    con: duckdb.DuckDBPyConnection, judged: pa.Table, choices: Sequence[Choice], level: int
) -> None:
    """Tables ``gold`` (positive grades) and ``judged`` (every query, and what it can reach)."""
    con.register("judgments", judged)
    con.execute("create temp table gold as select * from judgments where grade > 0")
    cutoffs = {_cutoff(one) for one in choices if one.measure.name in ("ndcg", "ndcg_cut")}
    ideals = "".join(
        f", sum(greatest(grade, 0) / log2(place + 1)) filter (place <= {k}) as ideal_{k}"
        for k in sorted(cutoffs)
    )
    con.execute(
        "create temp table judged as"
        f" select q, count(*) filter (grade >= $level) as num_rel{ideals}"
        " from (select q, grade, row_number() over (partition by q order by grade desc) as place"
        " from judgments) group by q",
        {"level": level},
    )


def _register_found(
    con: duckdb.DuckDBPyConnection, found: pa.Table, ties: Numbers, may_be_judged: NDArray[np.bool_]
) -> None:
    """Tables ``hits`` (those that may be judged and all that are tied, ``above`` counts the query's
    higher ones) and ``retrieved`` (hits by query)."""
    ordered, tied = _in_order(ties)
    chosen = may_be_judged | tied
    tie = ties[chosen]
    above = np.searchsorted(ordered, tie) - np.searchsorted(ordered, tie >> 32 << 32)
    hits = found.select(["q", "d"]).filter(pa.array(chosen))
    con.register("hits", hits.append_column("tie", [tie]).append_column("above", [above]))
    queries = found["q"].chunk(0).dictionary
    counts = sum(np.bincount(one.indices, minlength=len(queries)) for one in found["q"].chunks)
    con.register("retrieved", pa.table({"q": queries, "retrieved": counts}))


def _ties(found: pa.Table) -> Numbers | None:
    """Of each line one number for its query and score: rising with the query's code, then with
    falling scores; None where a score is no number.

    A float's bits, read as a whole number, rise with a positive score and fall with a negative one.
    """
    ties, start = np.empty(len(found), np.uint64), 0
    for queries, doubles in zip(found["q"].chunks, found["s"].chunks, strict=True):
        with np.errstate(over="ignore"):
            scores = doubles.to_numpy().astype(np.float32) + np.float32(0)  # -0.0 is tied with 0.0
        if not np.isfinite(scores).all():
            return None
        bits, end = scores.view(np.uint32), start + len(scores)
        falling = np.where(bits < 2**31, bits ^ (2**31 - 1), bits)
        codes = queries.indices.to_numpy().astype(np.uint64)
        ties[start:end] = codes << np.uint64(32) | falling
        start = end
    return ties


def _in_order(ties: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """``ties``, rising, and which of them are there more than once. Most runs are written in order,
    and need no sorting."""
    tied = np.zeros(len(ties), np.bool_)
    if (ties[1:] >= ties[:-1]).all():
        again = ties[1:] == ties[:-1]
        tied[1:] |= again
        tied[:-1] |= again
        return ties, tied
    ordered = np.sort(ties)
    found = pc.is_in(pa.array(ties), value_set=pa.array(_repeated(ordered)))
    return ordered, found.to_numpy(zero_copy_only=False)


def _summary(
    con: duckdb.DuckDBPyConnection, choices: Sequence[Choice], complete: bool
) -> dict[str, float] | None:
    values = ", ".join(
        f"coalesce({FORMULAS[one.measure.name].format(k=_cutoff(one))}, 0) as m{at}"
        for at, one in enumerate(choices)
    )
    sums = ", ".join(f"sum(m{at})::double" for at in range(len(choices)))
    found = con.execute(
        f"""
        with scored as (
            select * from judged
            {"left" if complete else ""} join retrieved using (q)),
        rows as (
            select {values} from scored left join ranked using (q) group by scored.q)
        select count(*), {sums} from rows"""
    ).fetchone()
    if found is None or not found[0]:
        return None
    n, *totals = found
    return {
        one.label: total if one.measure.count else total / n
        for one, total in zip(choices, totals, strict=True)
    }


def _cutoff(choice: Choice) -> int:
    return int(choice.cutoff) or ENDLESS
