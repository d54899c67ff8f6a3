"""Two versions by kind of question: what is paired, sliced, clustered and corrected."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ragdiag.metrics.question_slices import Slices
from ragdiag.records import Question
from ragdiag.settings import Workspace
from ragdiag.stats.contrasts import paired_means
from ragdiag.stats.paired import clustered_t, holm, mcnemar
from ragdiag.store.corpus import add_questions
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.workflows.comparing.compare import Comparison, QuestionPair, compare_versions
from ragdiag.workflows.comparing.compare_slices import compare_slices
from ragdiag.workflows.comparing.compare_words import comparison_markdown, comparison_text
from tests.answered import NEW, OLD, QUESTIONS, answer, fill_corpus, log


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    """``new`` is right where ``old`` is wrong, but only on the even questions, whose topic is
    their own."""
    workspace = Workspace(tmp_path_factory.mktemp("compare") / "workspace")
    lake: Lake = fill_corpus(workspace)
    everything = range(QUESTIONS)
    add_questions(
        lake,
        [Question(f"q{n}", f"How is item {n} set?", "even") for n in everything if n % 2 == 0],
    )
    log(
        lake,
        workspace,
        [
            *(answer(n, OLD, rank=2, right=n % 4 == 1) for n in everything),
            *(answer(n, NEW, rank=2, right=n % 4 != 3) for n in everything),
        ],
    )
    yield compare_versions(lake, OLD, NEW, "test")
    close_lakes()


def test_a_gain_is_found_in_the_slice_that_has_it(compared: Comparison) -> None:
    by_topic = {one.name: one for one in compared.slices if one.kind == "topic"}
    assert {name: one.n for name, one in by_topic.items()} == {"even": 100, "items": 100}
    assert by_topic["even"].metrics["correct"].difference.value == 1.0
    assert by_topic["even"].metrics["correct"].p_holm < 1e-20
    assert by_topic["items"].metrics["correct"].p_holm == 1.0
    assert "topic = even: correct better, +1.000" in comparison_text(compared)


def test_holm_corrects_over_everything_that_is_shown(compared: Comparison) -> None:
    overall = [found.paired.p for found in compared.metrics.values()]
    sliced = [found.p for one in compared.slices for found in one.metrics.values()]
    corrected = [found.p_holm for found in compared.metrics.values()]
    corrected += [found.p_holm for one in compared.slices for found in one.metrics.values()]
    assert corrected == pytest.approx(holm([*overall, *sliced]), nan_ok=True)
    assert compared.family == sum(not math.isnan(p) for p in [*overall, *sliced])
    told = compared.to_json()
    assert told["family"]["tests"] == compared.family
    assert f"Holm corrects over {compared.family} tests: 5 measures" in told["family"]["what"]
    json.dumps(told, allow_nan=False)


def test_right_and_wrong_answers_are_compared_by_mcnemar(compared: Comparison) -> None:
    assert compared.mcnemar == mcnemar([0] * 100 + [1] * 50 + [0] * 50, [1] * 150 + [0] * 50)
    assert "Right with B only: 100, with A only: 0" in comparison_text(compared)


def test_no_difference_tells_what_it_could_hide(compared: Comparison) -> None:
    text = comparison_markdown(compared)
    assert text.startswith("### new against old\n")
    assert "| MRR@10 | 0.500 | 0.500 |" in text
    assert "no difference: every question came out the same" in text
    assert f"Holm corrects over {compared.family} tests" in text


def test_names_in_the_summary_are_no_markup(compared: Comparison) -> None:
    told = comparison_markdown(replace(compared, a=replace(OLD, name="__a__"), split="*s*"))
    assert told.startswith("### new against \\_\\_a\\_\\_\n")
    assert r"Split \*s\*, " in told
    topics = [one for one in compared.slices if one.name == "even"]
    named = replace(compared, slices=[replace(one, name="<b>__t__") for one in topics])
    assert r"- topic = &lt;b>\_\_t\_\_: correct better" in comparison_markdown(named)


def test_precision_is_shown_beside_the_family_and_not_tested(compared: Comparison) -> None:
    found = compared.secondary["precision@5"]
    assert (found.a, found.b, found.difference.n) == (0.2, 0.2, QUESTIONS)
    assert compared.to_json()["secondary"]["precision@5"]["difference"]["n"] == QUESTIONS
    assert "precision@5" not in compared.metrics
    told = comparison_text(compared)
    unchanged = "precision@5 0.200 → 0.200  +0.000 (no spread, so no interval)"
    assert f"{unchanged}  n = {QUESTIONS}" in told
    assert "| precision@5 | 0.200 | 0.200 |" in comparison_markdown(compared)


def test_outcomes_that_share_documents_have_no_exact_p(compared: Comparison) -> None:
    right = [0] * 12 + [1] * 8, [1] * 12 + [1] * 8
    joined = mcnemar(*right, clusters=[n // 4 for n in range(20)])
    alone = mcnemar(*right, clusters=range(20))
    assert (alone, alone.test) == (mcnemar(*right), "exact McNemar")
    assert joined.p == clustered_t(paired_means(*right, [n // 4 for n in range(20)]))
    assert (joined.only_b, joined.p > alone.p) == (12, True)
    told = replace(compared, mcnemar=joined)
    assert "cluster-robust t, since questions share documents" in comparison_text(told)
    assert told.to_json()["mcnemar"]["test"] == "cluster-robust t"
    one = replace(compared, mcnemar=mcnemar(*right, clusters=[0] * 20))
    assert "all about one document: no test" in comparison_text(one)
    assert one.to_json()["mcnemar"]["p"] is None


def pair(name: str, cluster: str, a: float, b: float) -> QuestionPair:
    return QuestionPair(name, name, cluster, "", "", {"correct": a}, {"correct": b})


def test_questions_about_one_document_are_not_independent() -> None:
    slices: Slices = {"topic": {f"q{n}": "one" if n < 25 else "two" for n in range(50)}}
    values = [(0.0, float(n % 25 < 10)) for n in range(50)]
    alone = [pair(f"q{n}", str(n), *v) for n, v in enumerate(values)]
    joined = [pair(f"q{n}", str(n // 5), *v) for n, v in enumerate(values)]
    free, bound = (compare_slices(pairs, slices, ["correct"])[0] for pairs in (alone, joined))
    assert free.metrics["correct"].p < 0.01 < bound.metrics["correct"].p
    assert free.metrics["correct"].difference.low > bound.metrics["correct"].difference.low


def test_a_handful_of_documents_is_shown_and_not_tested() -> None:
    slices: Slices = {"topic": {f"q{n}": "few" if n < 40 else "many" for n in range(90)}}
    pairs = [pair(f"q{n}", str(n // 10), 0.0, float(n % 10 > 0)) for n in range(90)]
    few, many = compare_slices(pairs, slices, ["correct"])
    assert (few.n, few.clusters, few.tested, many.tested) == (40, 4, False, True)
    change = few.metrics["correct"]
    assert change.difference.reason == "fewer than 5 independent questions: no interval"
    assert math.isnan(change.difference.low + change.p + change.minimum_detectable)
    assert change.difference.value == pytest.approx(0.9)
    assert many.metrics["correct"].p == 2.0**-4  # that five signs agree


def test_a_handful_of_questions_is_shown_and_not_tested() -> None:
    slices: Slices = {
        "topic": {f"q{n}": "few" if n < 9 else "many" for n in range(30)},
        "length": {f"q{n}": "all alike" for n in range(30)},
    }
    pairs = [pair(f"q{n}", str(n), 0.0, 1.0) for n in range(30)]
    few, many = compare_slices(pairs, slices, ["correct"])
    assert (few.n, few.metrics["correct"].difference.value) == (9, 1.0)
    assert math.isnan(few.metrics["correct"].p)
    assert many.metrics["correct"].p == 2.0**-20  # that 21 signs agree


def test_one_question_has_both_means_and_no_test(workspace: Workspace) -> None:
    lake = fill_corpus(workspace)
    log(lake, workspace, [answer(0, version, rank=1) for version in (OLD, NEW)])
    found = compare_versions(lake, OLD, NEW, "test")
    told = "1.000 → 1.000  +0.000 (one value has no interval)  n = 1, not tested"
    assert f"MRR@10     {told}" in comparison_text(found)
    row = "| MRR@10 | 1.000 | 1.000 | +0.000 (one value has no interval) | 1 | – | not tested |"
    assert row in comparison_markdown(found)
