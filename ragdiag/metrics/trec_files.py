"""Scores of large TREC files: a join finds the ranks of relevant hits, and no other hit enters
Python.

Most measures need no more of a ranking than where its relevant hits stand; those that do, and files
that are written unusually, are for :func:`ragdiag.metrics.trec.score_run`, which gives the same
numbers (and the error, where a file is wrong).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from ragdiag.interrupts import interruptible
from ragdiag.metrics.trec import Qrels
from ragdiag.metrics.trec_names import Choice, asks_for_run_id, choose_measures

_AT_K = "count(*) filter (relevant and rank <= {k})"
_PRECISIONS = "sum(nth / rank) filter (relevant and rank <= {k})"
_GAIN = "sum(grade / log2(rank + 1)) filter (rank <= {k})"
ENDLESS = 2**31
_ODD_SPACES = b"\x0b\x0c\x1c\x1d\x1e\x1f"
_CHUNK = 1 << 22

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

_RUN = """
    create temp table run as
    select q, d, s::float as s from read_csv(?, auto_detect = false, header = false,
        delim = ?, quote = '', escape = '', comment = '', strict_mode = true, null_padding = false,
        columns = {'q': 'varchar', 'i': 'varchar', 'd': 'varchar', 'r': 'varchar', 's': 'double',
                   't': 'varchar'})"""
_RANKED = """
    create temp table ranked as
    select q, grade, grade >= $level as relevant, rank,
           count(*) filter (grade >= $level) over (partition by q order by rank) as nth
    from (select h.q, h.grade, count(*) as rank
          from (select q, d, grade, s from gold join run using (q, d)) h
          join run r on r.q = h.q and (r.s > h.s or (r.s = h.s and r.d >= h.d))
          group by h.q, h.d, h.grade)"""


def summarise_files(
    qrels: Qrels,
    run: Path,
    metrics: Sequence[str],
    relevance_level: int = 1,
    complete: bool = False,
) -> dict[str, float] | None:
    """As the summary of :func:`~ragdiag.metrics.trec.score_run` on what ``run`` holds; None where a
    metric needs more of a ranking, where no query is in both, and where the file is not six fields
    with one space or tab between, or not right: a score that is no number, a passage twice.

    Raises InputError for an unknown metric.
    """
    choices = choose_measures(metrics)
    if asks_for_run_id(metrics) or any(one.measure.name not in FORMULAS for one in choices):
        return None
    delimiter = _delimiter(run)
    if delimiter is None:
        return None
    with interruptible(), duckdb.connect(config={"threads": 2}) as con:
        try:
            con.execute(_RUN, [str(run), delimiter])
        except duckdb.Error:
            return None
        if not _is_clean(con):
            return None
        _register(con, qrels, choices, relevance_level)
        con.execute(_RANKED, {"level": relevance_level})
        return _summary(con, choices, complete)


def _delimiter(run: Path) -> str | None:
    """What stands between the fields, where that is one character all over the file, which has
    neither a comment at its top nor a byte that is no ASCII or might be white space elsewhere."""
    try:
        with run.open("rb") as file:
            first = file.readline(10_000).rstrip(b"\r\n")
            delimiter = next(
                (d for d in (b" ", b"\t") if len(first.split(d)) == 6 == len(first.split())), None
            )
            if delimiter is None or first.startswith(b"#"):
                return None
            odd = _ODD_SPACES + (b"\t" if delimiter == b" " else b" ")
            file.seek(0)
            while chunk := file.read(_CHUNK):
                if not chunk.isascii() or len(chunk.translate(None, odd)) < len(chunk):
                    return None
    except OSError:
        return None
    return delimiter.decode()


def _is_clean(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether every field says something, every score is a number and no passage is twice there.

    Passages are told apart by a hash: two that share one send the file the long way.
    """
    rows, pairs, faults = con.execute(
        "select count(*), count(distinct hash(q, d)), count(*) filter (q is null or d is null or"
        " s is null or isnan(s) or q = '' or d = '' or starts_with(q, '#')) from run"
    ).fetchall()[0]
    return bool(rows) and rows == pairs and not faults


def _register(
    con: duckdb.DuckDBPyConnection, qrels: Qrels, choices: Sequence[Choice], level: int
) -> None:
    """Tables ``gold`` (positive grades) and ``judged`` (every query, and what it can reach)."""
    rows = [(q, d, grade) for q, judged in qrels.items() for d, grade in judged.items()]
    queries, passages, grades = zip(*rows, strict=True)
    con.register("judgments", pa.table({"q": queries, "d": passages, "grade": grades}))
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
            {"left" if complete else ""} join (
                select q, count(*) as retrieved from run group by q) using (q)),
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
