"""The small demo holds what it says: documents, versions, weeks, faults, feedback."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from ragdiag.demo.build import build_demo
from ragdiag.demo.known_truth import GRADERS
from ragdiag.demo.marker import PLAN
from ragdiag.demo.material import EXTENTS, read_material
from ragdiag.demo.schedule import SLOW_MS, WEEKS
from ragdiag.errors import InputError, StoreBusy
from ragdiag.metrics.answers import normalise_answer
from ragdiag.records import DEFAULT_GRADER
from ragdiag.retrieval.serving import read_publications
from ragdiag.settings import Workspace
from ragdiag.store.calibrations import KNOWN_TRUTH, load_calibrations
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.prescriptions import latest_prescriptions
from ragdiag.store.validations import load_validation
from ragdiag.workflows.indexing.state import (
    load_index_states,
    load_measures,
    load_tuning,
    read_histories,
)
from tests.built_demo import KILLED_IN_WEEK, BuiltDemo

SMALL = EXTENTS["small"]

BY_WEEK = """
    with weekly as (
        select *, cast(split_part(request_id, '-', 2) as integer) as week
        from requests where traffic = 'production')
"""


def weekly(demo: BuiltDemo, select: str) -> dict[int, Any]:
    """``select`` (of week and one value) over production requests, grouped by week."""
    rows = demo.lake.rows(f"{BY_WEEK} {select} group by week order by week")
    return {row["week"]: row["value"] for row in rows}


def failures_by_cause(demo: BuiltDemo, cause: str) -> dict[int, int]:
    return weekly(
        demo,
        f"""select week, count(*) filter (where cause = '{cause}' and g.y = 0) as value
        from weekly join latest_verdicts using (request_id)
        join latest_grades g using (request_id)""",
    )


def test_a_workspace_with_other_data_is_refused(folder: Path) -> None:
    open_lake(Workspace(folder), create=True)
    try:
        with pytest.raises(InputError, match="no demo"):
            build_demo(Workspace(folder), "small")
    finally:
        close_lakes()


def test_a_demo_of_another_size_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / PLAN).write_text('{"size": "full", "first_monday": "2026-01-05"}')

    with pytest.raises(InputError, match="holds the full demo"):
        build_demo(Workspace(folder), "small")


def test_two_builders_of_one_demo_do_not_meet(folder: Path) -> None:
    from ragdiag.store.locks import locked

    folder.mkdir()
    with locked(folder / "demo.lock", 0.0), pytest.raises(StoreBusy):
        build_demo(Workspace(folder), "small")


def test_a_finished_demo_is_reported_without_building(folder: Path) -> None:
    folder.mkdir()
    (folder / PLAN).write_text('{"size": "small", "first_monday": "2026-01-05"}')
    told = {"size": "small", "simulated": "dates", "weeks": [], "faults": [], "counts": {}}
    Workspace(folder).demo_marker.write_text(json.dumps({**told, "seconds": 1.5}))

    assert build_demo(Workspace(folder), "small").seconds == 1.5
    assert not Workspace(folder).exists


@pytest.mark.slow
def test_six_versions_answer_the_test_questions(small_demo: BuiltDemo) -> None:
    rows = small_demo.lake.rows(
        """select name, count(distinct question_id) as n, avg(y) as right
        from requests join versions using (version_id) join latest_grades using (request_id)
        where traffic = 'evaluation' and grader = ? group by name""",
        [DEFAULT_GRADER],
    )

    assert len(rows) == 6
    for row in rows:
        assert row["n"] == SMALL.test_questions
        assert row["right"] > 0.5


@pytest.mark.slow
def test_a_killed_build_goes_on_where_it_stopped(small_demo: BuiltDemo) -> None:
    requests = small_demo.lake.rows("select request_id, total_ms from requests")
    after = {row["request_id"]: row["total_ms"] for row in requests}
    production = [key for key in after if key.startswith("demo-")]

    assert len(small_demo.before) >= (KILLED_IN_WEEK - 1) * SMALL.requests_per_week
    assert small_demo.before.items() <= after.items()
    assert len(production) == len(set(production)) == len(WEEKS) * SMALL.requests_per_week
    assert small_demo.lake.rows("select * from rejects") == []
    assert len(small_demo.lake.rows("select distinct build_id from index_builds")) == 6


@pytest.mark.slow
def test_progress_goes_forward_to_the_end(small_demo: BuiltDemo) -> None:
    assert small_demo.told == sorted(small_demo.told)
    assert small_demo.told[-1] == 1.0
    assert len(small_demo.told) > 50


@pytest.mark.slow
def test_every_production_request_has_its_grade_its_verdict_and_feedback(
    small_demo: BuiltDemo,
) -> None:
    counts = weekly(
        small_demo,
        """select week, [count(*), count(g.y), count(v.verdict), count(distinct f.request_id)]
        as value from weekly join latest_grades g using (request_id)
        join latest_verdicts v using (request_id)
        join (select distinct request_id from feedback where kind = 'task_success') f
        using (request_id)""",
    )

    assert counts == {week.number: [SMALL.requests_per_week] * 4 for week in WEEKS}


@pytest.mark.slow
def test_feedback_tells_good_answers_from_bad_ones(small_demo: BuiltDemo) -> None:
    rows = small_demo.lake.rows(
        """select kind, y, avg(value) as mean, count(*) as n from feedback
        join latest_grades using (request_id) group by kind, y"""
    )
    found = {(row["kind"], row["y"]): row for row in rows}

    assert {kind for kind, _ in found} == {"click", "task_success", "thumbs"}
    assert found["task_success", 1]["mean"] > found["task_success", 0]["mean"] + 0.3
    assert found["thumbs", 1]["mean"] > found["thumbs", 0]["mean"]


@pytest.mark.slow
def test_the_topic_mix_moves_in_week_4(small_demo: BuiltDemo) -> None:
    shares = weekly(
        small_demo,
        "select week, avg((topic like 'torch%')::integer) as value from weekly",
    )

    assert shares[4] > 2 * max(shares[week] for week in (2, 3, 5))


@pytest.mark.slow
def test_new_documents_are_missing_from_the_stale_index(small_demo: BuiltDemo) -> None:
    gaps = failures_by_cause(small_demo, "corpus_gap")
    builds = weekly(small_demo, "select week, count(distinct build_id) as value from weekly")

    assert min(gaps[6], gaps[7]) >= 2
    assert all(count == 0 for week, count in gaps.items() if week not in (6, 7))
    assert builds[6] == builds[7] == 1


@pytest.mark.slow
def test_the_fresh_index_was_published_over_the_stale_one(small_demo: BuiltDemo) -> None:
    histories = [
        read_publications(small_demo.workspace, path.stem) or ()
        for path in small_demo.workspace.indexes.glob("serving/[!.]*.json")
    ]
    assert len(histories) == 3
    for history in histories:
        assert len({one.build_id for one in history}) == len(history) == 2


@pytest.mark.slow
def test_the_lexical_stage_is_slow_in_week_9(small_demo: BuiltDemo) -> None:
    p95 = weekly(small_demo, "select week, quantile_cont(lexical_ms, 0.95) as value from weekly")

    assert p95[9] >= SLOW_MS
    assert all(value < SLOW_MS for week, value in p95.items() if week != 9 and value is not None)


@pytest.mark.slow
def test_the_dense_path_is_blind_in_week_10(small_demo: BuiltDemo) -> None:
    """Different questions that open with the same word get the same dense candidates."""

    def sets_by_first_word(week: int) -> dict[str, set[tuple[str, ...]]]:
        found = defaultdict[str, set[tuple[str, ...]]](set)
        for row in small_demo.lake.rows(
            f"{BY_WEEK} select question, dense from weekly where week = {week}"
        ):
            found[row["question"].split()[0]].add(tuple(h["passage_id"] for h in row["dense"]))
        return found

    assert all(len(lists) == 1 for lists in sets_by_first_word(10).values())
    assert any(len(lists) > 1 for lists in sets_by_first_word(9).values())


@pytest.mark.slow
def test_the_cut_context_makes_packing_failures_in_week_12(small_demo: BuiltDemo) -> None:
    packing = failures_by_cause(small_demo, "packing")
    right = weekly(
        small_demo,
        "select week, avg(y) as value from weekly join latest_grades using (request_id)",
    )

    assert packing[12] >= 5
    assert all(count == 0 for week, count in packing.items() if week != 12)
    assert right[12] < min(right[week] for week in (9, 10, 11)) - 0.1


@pytest.mark.slow
def test_the_marker_tells_what_is_simulated_and_what_was_broken(small_demo: BuiltDemo) -> None:
    marker = json.loads(small_demo.workspace.demo_marker.read_text())

    assert marker == small_demo.report.to_json()
    assert marker["simulated"] == "dates"
    assert len(marker["weeks"]) == 12
    assert {fault["week"]: fault["kind"] for fault in marker["faults"]} == {
        week.number: week.fault for week in WEEKS if week.fault
    }


@pytest.mark.slow
def test_no_question_stands_in_the_documents_and_every_answer_does() -> None:
    material = read_material("small")
    passages = {p.passage_id: f" {normalise_answer(p.text)} " for p in material.early}
    passages |= {p.passage_id: f" {normalise_answer(p.text)} " for p in material.late}

    for one in (*material.train, *material.test):
        asked = normalise_answer(one.question.text)
        best = [passages[j.passage_id] for j in one.judgments if j.grade == 2]
        assert best, one.question
        assert not any(f" {asked} " in text for text in passages.values())
        for answer in one.gold.answers:
            assert any(f" {normalise_answer(answer)} " in text for text in best), answer


@pytest.mark.slow
def test_production_never_asks_what_evaluation_asks() -> None:
    material = read_material("small")

    assert len(material.test) == SMALL.test_questions
    assert not {one.entry for one in material.train} & {one.entry for one in material.test}
    assert read_material("small") == material


@pytest.mark.slow
def test_the_indexes_are_checked_measured_and_tuned(small_demo: BuiltDemo) -> None:
    lake, workspace = small_demo.lake, small_demo.workspace
    states = load_index_states(lake, workspace, read_histories(lake, workspace))
    assert [state.status for state in states] == ["good"] * 3
    assert "questions" in states[0].looks
    tuned = load_tuning(lake, states[-1].versions[-1])
    assert tuned is not None
    assert tuned[1]["chosen"] is not None
    (measured,) = load_measures(lake, states[-1].version_ids)
    assert measured["measured"]["questions"] == 50


def test_it_says_how_far_to_trust_it_and_what_would_help(small_demo: BuiltDemo) -> None:
    trusted = load_validation(small_demo.lake) or {}
    assert trusted["tiers"]["A"]["right"]["value"] >= 0.9
    assert sum(fault["failed"] for fault in trusted["faults"].values()) >= 5 * SMALL.faults
    (advice,) = latest_prescriptions(small_demo.lake)
    assert advice["version_id"] == trusted["version_id"]
    assert advice["prescription"]["sentence"]
    assert {lever["basis"] for lever in advice["prescription"]["levers"]} >= {"measured"}


def test_graders_are_held_against_what_is_known_and_sentences_are_judged(
    small_demo: BuiltDemo,
) -> None:
    found = load_calibrations(small_demo.lake)
    assert len(found) == sum(map(len, GRADERS.values()))
    assert {one.labels for one in found.values()} == {KNOWN_TRUTH}
    assert found[DEFAULT_GRADER].estimate("accuracy").n == SMALL.test_questions
    grounded = found["grounded_lexical-v2@0.6"]
    assert min(grounded.estimate(name).n for name in ("sensitivity", "specificity")) >= 20
    (kept,) = small_demo.lake.rows("""
        select count(*) filter (sentences is not null) as judged, count(y) as decided
        from latest_grades where grader = 'grounded_encoder-v2@0.6'""")
    assert kept["judged"] == kept["decided"] >= 0.5 * SMALL.test_questions
    people = small_demo.lake.rows("select 1 from grades where grader like 'human%'")
    assert people == []
