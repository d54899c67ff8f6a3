"""What is scored by a join equals what is scored hit by hit, and anything unusual goes that way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragdiag.cli import main
from ragdiag.errors import InputError
from ragdiag.importers.trec import read_qrels, read_run
from ragdiag.metrics.trec import score_run
from ragdiag.metrics.trec_files import BLOCK, FORMULAS, summarise_files
from ragdiag.metrics.trec_names import MEASURES

MEASURED = [name if not MEASURES[name].cutoffs else f"{name}.1,3,10" for name in FORMULAS]
PASSAGES = ["p1", "p10", "p2", "p3", "P4", "p~", "10", "9"]
GRADES = st.dictionaries(st.sampled_from(PASSAGES), st.integers(-1, 3), min_size=1)
SCORES = st.dictionaries(
    st.sampled_from(PASSAGES),
    st.sampled_from([0.0, -0.0, 0.5, 0.5 + 1e-12, 1.0, -0.5, -7.25]),
    min_size=1,
)


def write_qrels(path: Path, qrels: dict[str, dict[str, int]], between: str = " ") -> Path:
    lines = [
        between.join([query, "0", passage, str(grade)]) + "\n"
        for query, grades in qrels.items()
        for passage, grade in grades.items()
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write(path: Path, run: dict[str, dict[str, float]], between: str = " ") -> Path:
    lines = [
        between.join([query, "Q0", passage, "0", repr(score), "tag"]) + "\n"
        for query, scores in run.items()
        for passage, score in scores.items()
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    qrels=st.dictionaries(st.sampled_from("abc"), GRADES, min_size=1),
    run=st.dictionaries(st.sampled_from("abcd"), SCORES, min_size=1),
    level=st.integers(1, 2),
    complete=st.booleans(),
    between=st.sampled_from(" \t"),
)
def test_every_measure_equals_the_plain_one(
    tmp_path: Path,
    qrels: dict[str, dict[str, int]],
    run: dict[str, dict[str, float]],
    level: int,
    complete: bool,
    between: str,
) -> None:
    judged = write_qrels(tmp_path / "qrels", qrels, between)
    path = write(tmp_path / "run", run, between)
    found = summarise_files(judged, path, MEASURED, level, complete)
    if not qrels.keys() & run.keys() and not complete:
        assert found is None
        return
    wanted = score_run(qrels, run, MEASURED, relevance_level=level, complete=complete)
    assert found is not None
    assert found.summary == pytest.approx(wanted.summary, abs=1e-9)
    assert (found.labels, found.unjudged, found.missing) == (
        wanted.labels,
        wanted.unjudged,
        wanted.missing,
    )


def test_it_is_the_same_on_trec_evals_own_run(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "trec_eval"
    qrels = read_qrels(folder / "qrels.test")
    run = read_run(folder / "results.test")
    judged = write_qrels(tmp_path / "qrels", qrels)
    found = summarise_files(judged, write(tmp_path / "run", run), MEASURED)
    assert found is not None
    assert found.summary == pytest.approx(score_run(qrels, run, MEASURED).summary, abs=1e-9)


@pytest.mark.parametrize("as_ranked", [True, False])
def test_files_of_several_blocks(tmp_path: Path, as_ranked: bool) -> None:
    """Their lines in any order, or best first as most runs have them; many scores are tied."""
    chance = np.random.default_rng(0)
    pairs = chance.permutation([f"q{q} tag{q:030d} d{d}" for q in range(900) for d in range(150)])
    lines = list(zip(pairs.tolist(), chance.integers(-40, 40, len(pairs)), strict=True))
    if as_ranked:
        lines.sort(key=lambda line: (line[0].split()[0], -line[1]))
    run: dict[str, dict[str, float]] = {}
    path = tmp_path / "run"
    with path.open("w") as file:
        for pair, score in lines:
            query, tag, passage = pair.split()
            run.setdefault(query, {})[passage] = score / 4
            file.write(f"{query} Q0 {passage} 1 {score / 4} {tag}\n")
    assert path.stat().st_size > 1.4 * BLOCK
    qrels = {
        f"q{q}": {f"d{d}": 1 + d % 3 for d in range(q % 7, 300, 29)} for q in range(0, 1000, 3)
    }
    found = summarise_files(write_qrels(tmp_path / "qrels", qrels), path, MEASURED)
    wanted = score_run(qrels, run, MEASURED)
    assert found is not None
    assert found.summary == pytest.approx(wanted.summary, abs=1e-9)
    assert (found.unjudged, found.missing) == (wanted.unjudged, wanted.missing)
    assert len(found.unjudged) == 600
    assert len(found.missing) == 34


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\nq Q0 p 1 0.5 tag\n",
        "q Q0 p 1 0.5 tag\nq Q0 p 2 0.4 tag\n",
        "q Q0 p 1 0.5 tag\nq Q0 r  2 0.4 tag\n",
        "q Q0 p 1 0.5 tag\nq Q0 r 2 nan tag\n",
        "q Q0 p 1 0.5 tag\nq Q0 r 2 high tag\n",
        "q Q0 p 1 0.5 tag\nq Q0 r 2 1e300 tag\n",
        "q Q0 p 1 0.5 tag more\n",
        "q Q0 p 1 0.5 tag\nq Q0 r  0.4 tag\n",
        "q Q0 p 1 0.5 tag\nq Q0 r 2 0.4 \n",
        "q Q0 p 1 0.5 tag\nq Q0 r 2 0.4 ",
        "q Q0 p 1 0.5 tag\n q Q0 r 2 0.4\n",
        "q Q0 p 1 0.5 tag\n# Q0 r 2 0.4 tag\n",
        "q Q0 p 1 0.5\n",
        "q Q0 p 1 0.5 tag\nq Q0 p\u2028r 2 0.4 tag\n",
        "q Q0 p 1 0.5 tag\nq Q0 p\x1cr 2 0.4 tag\n",
        "q Q0 p 1 0.5 tag\nq\tQ0\tr\t2\t0.4\ttag\n",
        "\ufeffq Q0 p 1 0.5 tag\n",
        "",
    ],
)
def test_whatever_is_unusual_or_wrong_is_left_to_the_plain_way(tmp_path: Path, text: str) -> None:
    qrels, path = write_qrels(tmp_path / "qrels", {"q": {"p": 1}}), tmp_path / "run"
    path.write_text(text, encoding="utf-8")
    assert summarise_files(qrels, path, ["recip_rank"]) is None


@pytest.mark.parametrize(
    "text",
    ["q 0 p 1\nq 0 p 2\n", "q 0 p 1.5\n", "q 0 p 0x1\n", f"q 0 p {2**70}\n", "q 0 p\n", ""],
)
def test_so_is_a_file_of_judgments(tmp_path: Path, text: str) -> None:
    qrels, path = tmp_path / "qrels", write(tmp_path / "run", {"q": {"p": 1.0}})
    qrels.write_text(text, encoding="utf-8")
    assert summarise_files(qrels, path, ["recip_rank"]) is None


def test_a_pipe_is_left_unread(tmp_path: Path) -> None:
    qrels, pipe = write_qrels(tmp_path / "qrels", {"q": {"p": 1}}), tmp_path / "run"
    os.mkfifo(pipe)
    assert summarise_files(qrels, pipe, ["recip_rank"]) is None


def test_measures_that_need_whole_rankings_are_left_too(tmp_path: Path) -> None:
    qrels = write_qrels(tmp_path / "qrels", {"q": {"p": 1}})
    path = write(tmp_path / "run", {"q": {"p": 1.0}})
    for metric in ("bpref", "official", "runid", "infAP", f"P_{10**20}"):
        assert summarise_files(qrels, path, [metric]) is None
    with pytest.raises(InputError, match="unknown metric"):
        summarise_files(qrels, path, ["mrr"])


def test_the_command_prints_the_same_either_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    qrels = tmp_path / "qrels"
    qrels.write_text("q 0 p 1\nq 0 r 2\n", encoding="utf-8")
    run = write(tmp_path / "run", {"q": {"p": 1.0, "s": 2.0, "r": 0.5}})
    asked = ["score", "--qrels", str(qrels), "--run", str(run)]
    asked += ["-m", "ndcg_cut_10", "-m", "recip_rank", "-m", "num_ret"]
    assert main(asked) == 0
    joined = capsys.readouterr().out
    run.write_text("# plain\n" + run.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(asked) == 0
    assert capsys.readouterr().out == joined
    assert "recip_rank            \tall\t0.5000" in joined


@pytest.mark.parametrize("metric", ["recip_rank", "bpref"])
def test_queries_that_only_one_file_has_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metric: str
) -> None:
    """The second metric takes the long way."""
    qrels = write_qrels(tmp_path / "qrels", {name: {"p": 1} for name in ("q", "alone")})
    others = {f"r{n:02}": {"p": 1.0} for n in range(12)}
    run = write(tmp_path / "run", {"q": {"p": 1.0}} | others)
    asked = ["score", "--qrels", str(qrels), "--run", str(run), "-m", metric]
    assert main([*asked, "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["unjudged"] == {"n": 12, "first": [f"r{n:02}" for n in range(10)]}
    assert told["missing"] == {"n": 1, "first": ["alone"]}
    assert printed.err == (
        "ragdiag: no judgments for 12 of the run's queries, left out: "
        "r00, r01, r02, r03, r04, r05, r06, r07, r08, r09 …; "
        "no results for 1 of the judged queries, left out (-c counts them as 0): alone\n"
    )
    assert main([*asked, "-c"]) == 0
    assert "of the judged queries, counted as 0: alone" in capsys.readouterr().err
    write(tmp_path / "run", {"q": {"p": 1.0}, "alone": {"p": 1.0}})
    assert main(asked) == 0
    assert capsys.readouterr().err == ""
