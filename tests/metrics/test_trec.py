"""`score` against trec_eval's own expected outputs, byte by byte, and against pytrec_eval."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.errors import InputError
from ragdiag.metrics.trec import format_trec, score_run
from ragdiag.metrics.trec_names import MEASURES, choose_measures

# trec_eval 9, which pytrec_eval wraps, turned recall levels into counts by adding 0.9; trec_eval
# 10, whose outputs the other tests here reproduce, rounds them. The last three came with 10.
CHANGED_IN_10 = {"iprec_at_recall", "11pt_avg", "rbp", "rbp_resid", "unj"}
NOT_A_NUMBER_BY_QUERY = {"num_q", "gm_map", "gm_bpref", "relstring"}
COMPARED = sorted(MEASURES.keys() - CHANGED_IN_10 - NOT_A_NUMBER_BY_QUERY)


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for line in path.read_text().splitlines():
        query_id, _, passage_id, grade = line.split()
        qrels.setdefault(query_id, {})[passage_id] = int(grade)
    return qrels


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "trec_eval"


@pytest.fixture(scope="module")
def run(folder: Path) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for line in (folder / "results.test").read_text().splitlines():
        query_id, _, passage_id, _, score, _ = line.split()
        scores.setdefault(query_id, {})[passage_id] = float(score)
    return scores


def test_a_rank_beyond_every_list_is_printed_as_it_was_asked_for() -> None:
    rank = "9" * 400
    scores = score_run({"q": {"a": 1}}, {"q": {"a": 0.5}}, [f"recall_{rank}", f"P.{rank}"])
    assert scores.summary == {f"P_{rank}": 0.0, f"recall_{rank}": 1.0}
    assert [one.label for one in choose_measures(["P_99999999999999999999"])] == [
        "P_99999999999999999999"
    ]


def test_a_grade_may_be_as_high_as_64_bits() -> None:
    """As many cells as the highest grade would fill a machine's memory."""
    run = {"q": {"a": 0.5, "b": 0.7}}
    metrics = ["ndcg", "num_rel", "map", "Rndcg", "ndcg_rel", "G", "rbp"]
    scores = score_run({"q": {"a": 2**63 - 1, "c": 1}}, run, metrics)
    few = score_run({"q": {"a": 10**9, "c": 1}}, run, metrics)
    assert scores.summary == pytest.approx(few.summary, rel=1e-6)
    with pytest.raises(InputError, match="relevance of passage a for query q is over 64 bits"):
        score_run({"q": {"a": 10**23}}, run, metrics)


@pytest.mark.parametrize(
    ("expected", "qrels", "metrics", "level", "per_query"),
    [
        ("out.test", "qrels.test", ["official"], 1, False),
        ("out.test.a", "qrels.test", ["all_trec"], 1, False),
        ("out.test.aq", "qrels.test", ["all_trec"], 1, True),
        ("out.test.aql", "qrels.rel_level", ["all_trec", "relstring.20"], 2, True),
    ],
)
def test_output_is_trec_evals_byte_for_byte(
    folder: Path,
    run: dict[str, dict[str, float]],
    expected: str,
    qrels: str,
    metrics: list[str],
    level: int,
    per_query: bool,
) -> None:
    scores = score_run(
        read_qrels(folder / qrels), run, metrics, relevance_level=level, run_id="STANDARD"
    )
    assert format_trec(scores, per_query) == (folder / expected).read_text()


def test_cutoffs_that_are_given_print_as_trec_evals(
    folder: Path, run: dict[str, dict[str, float]]
) -> None:
    metrics = ["iprec_at_recall..10,.20,.25,.75,.50", "P.5,7,3", "recall.20,2000"]
    metrics += ["Rprec_mult.5.0,0.2,0.35", "ndcg_cut_10", "ndcg_cut.20,23", "success.2,5,20"]
    scores = score_run(read_qrels(folder / "qrels.test"), run, metrics)
    not_offered = ("utility_", "11pt_avg_", "ndcg_1=")
    lines = (folder / "out.test.meas_params").read_text().splitlines(keepends=True)
    assert format_trec(scores, per_query=True) == "".join(
        line for line in lines if not line.startswith(not_offered)
    )


@pytest.mark.parametrize(
    "metric", ["map", "ndcg_cut_10", "P_5", "iprec_at_recall_0.10", "bpref", "num_rel_ret"]
)
def test_one_metric_alone_is_its_line_of_the_whole_output(
    folder: Path, run: dict[str, dict[str, float]], metric: str
) -> None:
    scores = score_run(read_qrels(folder / "qrels.test"), run, [metric])
    lines = (folder / "out.test.a").read_text().splitlines(keepends=True)
    assert format_trec(scores, per_query=False) in lines
    assert list(scores.summary) == [metric]


PASSAGES = [f"p{number}" for number in range(12)]
GRADES = st.dictionaries(st.sampled_from(PASSAGES), st.integers(-1, 3), min_size=1)
# Few distinct scores make ties; two that differ only beyond float32 make a tie there alone.
SCORES = st.dictionaries(
    st.sampled_from(PASSAGES), st.sampled_from([0.0, 0.5, 0.5 + 1e-12, 1.0, 7.25]), min_size=1
)


@settings(max_examples=150, deadline=None)
@given(
    qrels=st.dictionaries(st.sampled_from("abc"), GRADES, min_size=1),
    run=st.dictionaries(st.sampled_from("abcd"), SCORES, min_size=1),
    level=st.integers(1, 2),
)
def test_random_runs_with_ties_equal_pytrec_eval(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]], level: int
) -> None:
    # Where every judgment of a query is negative (pooled, not judged), trec_eval 9 never returns.
    qrels = {query: grades for query, grades in qrels.items() if max(grades.values()) >= 0}
    if not qrels.keys() & run.keys():
        return
    wanted = pytrec_eval.RelevanceEvaluator(qrels, COMPARED, relevance_level=level).evaluate(run)
    scores = score_run(qrels, run, COMPARED, relevance_level=level)
    assert scores.per_query.keys() == wanted.keys()
    for query_id, values in wanted.items():
        assert scores.per_query[query_id] == pytest.approx(values, abs=1e-9)


def test_ties_go_to_the_higher_passage_id() -> None:
    qrels = {"q": {"a": 1}}
    assert score_run(qrels, {"q": {"a": 1.0, "b": 1.0}}, ["recip_rank"]).summary == {
        "recip_rank": 0.5
    }
    closer_than_float32 = {"q": {"a": 1.0 + 1e-9, "b": 1.0}}
    assert score_run(qrels, closer_than_float32, ["recip_rank"]).summary == {"recip_rank": 0.5}


def test_scores_beyond_float32_are_ties_without_a_warning() -> None:
    scores = score_run({"q": {"a": 1}}, {"q": {"a": 1e300, "b": 1e299}}, ["recip_rank"])
    assert scores.summary["recip_rank"] == 0.5


def test_missing_queries_count_as_0_only_when_asked_for() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"a": 1, "b": 1}}
    run = {"q1": {"a": 1.0}}
    metrics = ["num_q", "num_rel", "map", "gm_map", "utility", "unj_5", "rbp_resid"]
    alone = score_run(qrels, run, metrics)
    assert alone.summary["map"] == 1.0
    assert alone.missing == ("q2",)
    assert alone.per_query.keys() == {"q1"}
    complete = score_run(qrels, run, metrics, complete=True)
    assert complete.summary["num_q"] == 2
    assert complete.summary["num_rel"] == 3
    assert complete.summary["map"] == 0.5
    assert complete.summary["gm_map"] == pytest.approx(math.sqrt(1.0 * 1e-5))
    assert complete.per_query["q2"] == {
        "num_rel": 2,
        "map": 0.0,
        "utility": 0.0,
        "unj_5": 0.0,
        "rbp_resid": 0.0,
    }


def test_queries_without_judgments_are_named_and_not_averaged() -> None:
    scores = score_run({"q1": {"a": 1}}, {"q1": {"a": 1.0}, "q9": {"a": 1.0}}, ["map", "num_q"])
    assert scores.unjudged == ("q9",)
    assert scores.summary == {"num_q": 1, "map": 1.0}


def test_a_query_without_relevant_passages_is_0_in_every_metric() -> None:
    scores = score_run({"q": {"a": 0}}, {"q": {"a": 1.0}}, ["all_trec"])
    not_zero = {"num_ret": 1, "num_nonrel_judged_ret": 1, "utility": -1.0}
    values = scores.per_query["q"]
    assert {label: value for label, value in values.items() if value} == not_zero
    assert scores.texts["q"] == {"relstring": "0"}


def test_default_metrics_are_the_official_ones() -> None:
    printed = format_trec(score_run({"q": {"a": 1}}, {"q": {"a": 1.0}}, run_id="mine"), False)
    assert printed.startswith("runid                 \tall\tmine\nnum_q                 \tall\t1\n")


@pytest.mark.parametrize("name", ["mrr", "P_x", "P_0", "P.", "map_5", "recall_1.5", ""])
def test_unknown_metrics_and_cutoffs_are_refused_with_what_is_offered(name: str) -> None:
    with pytest.raises(InputError, match=r"choose from|whole number") as caught:
        choose_measures([name])
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("qrels", "run", "level", "message"),
    [
        ({"q": {"a": 1}}, {"r": {"a": 1.0}}, 1, "no query has both"),
        ({"q": {"a": 1}}, {"q": {}}, 1, "no query has both"),
        ({"q": {"a": 1}}, {"q": {"a": 1.0}}, 0, "relevance level 0"),
        ({"q": {"a": 1}}, {"q": {"a": math.nan}}, 1, "passage a for query q is not a number"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]], level: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score_run(qrels, run, ["map"], relevance_level=level)


def test_inputs_are_left_as_they_were() -> None:
    qrels, run = {"q": {"a": 1, "b": -1}}, {"q": {"b": 1.0, "a": 1.0}}
    score_run(qrels, run, ["all_trec"])
    assert (qrels, run) == ({"q": {"a": 1, "b": -1}}, {"q": {"b": 1.0, "a": 1.0}})
