"""What may be tried, how runs stand, what they changed; and starting one with its command shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.jobs import STOPPED, JobProgress, write_progress
from ragdiag.records import Deployment, Estimate, Judgment, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_judgments, add_questions
from ragdiag.store.deployments import append_deployment
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.store.training_runs import TrainingRun, save_run
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import Change, Measured
from ragdiag.ui import jobs
from ragdiag.ui.training_failures import usable_failures
from ragdiag.version import Version, parse_spec
from tests.training_runs import BEGUN, DONE, save_toy_run

DENSE = Version("dense", parse_spec("[embedder]\n[generator]\nkind='extractive'", source="toy"))


@pytest.fixture
def split(corpus: Lake) -> Lake:
    """Every question is judged in the split "test"; one of "train" is new."""
    add_questions(corpus, [Question("q-naps", "Do cats nap?")])
    add_judgments(corpus, [Judgment("q-naps", "cats", 1, "train")])
    return corpus


@pytest.fixture
def dense(split: Lake) -> Lake:
    save_version(split, DENSE)
    return split


def press(app, key: str):
    return next(button for button in app.button if button.key == key).click().run()


def test_before_the_first_run_it_can_be_started(open_page, workspace, dense, said) -> None:
    app = open_page("training", workspace)
    assert not app.exception
    text = said(app)
    assert "Nothing has been trained yet" in text
    asked = "python -m ragdiag tune retriever dense --split train --test test --method query-lora"
    assert f"{asked} --epochs 5" in text
    app.selectbox(key="tune_method").select("full").run()
    assert "--method full --epochs 4" in said(app)


def test_start_runs_the_command_that_is_shown(
    open_page, workspace, dense, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Workspace, list[str]]] = []
    monkeypatch.setattr(jobs, "start_tune", lambda *given: started.append(given))
    app = press(open_page("training", workspace), "tune_start")
    assert not app.exception
    given = ["retriever", "dense", "--split", "train", "--test", "test"]
    given += ["--method", "query-lora", "--epochs", "5"]
    assert started == [(workspace, given)]


def test_a_reranker_is_started_like_a_retriever(open_page, workspace, dense, said) -> None:
    app = open_page("training", workspace)
    app.selectbox(key="tune_method").select("reranker").run()
    assert not app.exception
    assert "python -m ragdiag tune reranker dense --split train --test test --epochs 3" in said(app)


def test_late_interaction_is_tuned_for_a_version_that_has_it(
    open_page, workspace, dense: Lake, said
) -> None:
    app = open_page("training", workspace)
    app.selectbox(key="tune_method").select("late-interaction").run()
    assert 'a version with [reranker] kind = "late_interaction"' in said(app)
    late = "\n[reranker]\nkind = 'late_interaction'\nmodel = 'all-MiniLM-L6-v2'"
    spec = parse_spec(f"[embedder]\n[generator]\nkind='extractive'{late}", source="late")
    save_version(dense, Version("late", spec))
    app = open_page("training", workspace)
    app.selectbox(key="tune_method").select("late-interaction").run()
    assert not app.exception
    asked = "ragdiag tune late-interaction late --split train --test test --method query-lora"
    assert f"{asked} --epochs 3" in said(app)
    assert not any(box.key.startswith("tune_negatives") for box in app.number_input)


@pytest.mark.parametrize("kind", ["reader", "generator"])
def test_what_answers_begins_from_a_model_that_the_user_names(
    open_page, workspace, dense, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(jobs, "start_tune", lambda _, arguments: started.append(arguments))
    app = open_page("training", workspace)
    app.selectbox(key="tune_method").select(kind).run()
    assert next(one for one in app.button if one.key == "tune_start").disabled
    app.text_input(key=f"tune_base_{kind}").input(" --models/small ").run()
    press(app, "tune_start")
    assert not app.exception
    ((command, *given),) = started
    assert command == kind
    assert given[-1] == "--base=--models/small"


def test_what_is_tested_on_is_not_learned_from(open_page, workspace, dense, said) -> None:
    app = open_page("training", workspace)
    assert app.selectbox(key="tune_labels").options == ["train (1 question)", "no labels"]
    app.selectbox(key="tune_test").select("train").run()
    assert not app.exception
    assert "tune retriever dense --split test --test train" in said(app)


def test_without_a_test_split_another_than_train_is_tested_on(
    open_page, workspace, dense, said
) -> None:
    dense.write(
        lambda cursor: cursor.execute("update judgments set split = 'val' where split = 'test'")
    )
    assert "--split train --test val" in said(open_page("training", workspace))


def test_with_one_split_weak_pairs_can_be_learnt_from(open_page, workspace, corpus, said) -> None:
    app = open_page("training", workspace)
    app.selectbox(key="tune_method").select("reranker").run()
    assert not app.exception
    text = said(app)
    assert "the only one here is `test`" in text
    assert "can learn from clicks, titles and what BM25 is sure of instead" in text
    assert "tune reranker lexical --no-labels --test test --epochs 3" in text
    app.selectbox(key="tune_method").select("reader").run()
    assert not app.exception
    assert "the only one here is `test`" in said(app)
    assert not app.button


def test_labels_can_be_left_out(open_page, workspace, dense, said) -> None:
    app = open_page("training", workspace)
    app.selectbox(key="tune_labels").select("").run()
    assert not app.exception
    assert "tune retriever dense --no-labels --test test" in said(app)
    assert not app.checkbox


def test_negatives_and_rank_are_options_where_they_were_changed(
    open_page, workspace, dense, said
) -> None:
    app = open_page("training", workspace)
    assert "--rank" not in said(app)
    app.number_input(key="tune_rank_query-lora").set_value(8)
    app.number_input(key="tune_negatives_query-lora").set_value(0).run()
    assert "--epochs 5 --negatives 0 --rank 8" in said(app)
    app.selectbox(key="tune_method").select("full").run()
    assert not app.exception
    assert "--rank" not in said(app)


def test_failures_lead_from_triage_to_a_run_that_learns_from_them_alone(
    open_page, toy_workspace, copied, workspace, said
) -> None:
    lake = copied(toy_workspace)
    save_version(lake, DENSE)
    lake.write(
        lambda cursor: cursor.execute(
            "update judgments set split = 'train' where question_id in (select question_id "
            "from requests where request_id in (select request_id from latest_verdicts "
            "where verdict = 'retrieval'))"
        )
    )
    app = open_page("triage", workspace)
    assert not app.exception
    (link,) = (one.proto for one in app.get("page_link") if "that retrieval" in one.proto.label)
    requests, pairs = usable_failures(lake, "train")
    assert re.fullmatch(r"Train on \d+ failed requests that retrieval owns →", link.label)
    assert requests >= pairs >= 10
    assert link.query_string == "tune_failures=true"
    app = open_page("training", workspace, tune_failures="true")
    assert not app.exception
    assert app.checkbox(key="tune_failures").label == f"From failures only ({requests} requests)"
    assert "--from-failures" in said(app)
    app.checkbox(key="tune_failures").uncheck().run()
    assert "--from-failures" not in said(app)


def test_too_few_failures_are_no_choice(open_page, workspace, dense, said) -> None:
    app = open_page("training", workspace, tune_failures="true")
    assert not app.exception
    (box,) = app.checkbox
    assert (box.label, box.disabled) == ("From failures only (0 requests)", True)
    assert "--from-failures" not in said(app)


def test_without_an_embedder_no_retriever_is_tuned(open_page, workspace, split, said) -> None:
    app = open_page("training", workspace)
    assert not app.exception
    assert "tuned for a version with an embedder; this workspace has none" in said(app)
    assert not app.button
    app.selectbox(key="tune_method").select("reranker").run()
    assert "tune reranker lexical" in said(app)


def test_without_a_version_there_is_nothing_to_train(open_page, workspace, corpus, said) -> None:
    corpus.write(lambda cursor: cursor.execute("delete from versions"))
    app = open_page("training", workspace)
    assert not app.exception
    assert "Training takes a version; this workspace has none" in said(app)
    assert not app.button


def test_a_run_that_passed_waits_until_its_version_is_tried(
    open_page, workspace, dense, said
) -> None:
    candidate = replace(DONE.candidate, name=DENSE.name, version_id=DENSE.version_id)
    save_toy_run(dense, workspace, "r1", "done", replace(DONE, candidate=candidate))
    save_toy_run(dense, workspace, "r2", "failed", replace(BEGUN, error="8 pairs are too few"))
    app = open_page("training", workspace)
    assert not app.exception
    assert app.selectbox(key="run").value == "r1"
    assert app.success[0].proto.title == "Waits for a canary"
    text = said(app)
    assert "dense, made by run r1, passed its gate. MRR@10 0.364 → 0.431" in text
    assert 'deploy canary "dense" --share 5%' in text
    assert app.error[0].proto.title == "The last run failed"
    assert "8 pairs are too few" in text
    append_deployment(
        dense, "set", lambda state: Deployment(DENSE.version_id), actor="ada", evidence={}
    )
    text = said(open_page("training", workspace))
    assert "No run that passed its gate waits" in text


def test_a_finished_run_is_told_whole(open_page, workspace, dense, said) -> None:
    facts = replace(
        DONE,
        gained=(replace(DONE.gained[0], question_id="q-cats"), DONE.gained[1]),
        options={"lora": {"rank": 8, "dora": False}, "epochs": 5, "save_as": None},
    )
    save_toy_run(dense, workspace, "r1", "done", facts)
    save_toy_run(dense, workspace, "r2", "cancelled", BEGUN)
    app = open_page("training", workspace, run="r1")
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric} == {
        "Gate": "pass",
        "MRR@10, test questions": "+0.067",
        "Overfitting, asked later": "+0.027",
        "Took": "4 min",
    }
    text = said(app)
    assert "no overfitting; gain on test questions less that on asked later" in text
    assert "602 pairs (540 judgment, 41 failure, 21 feedback); held out: " in text
    assert "; refused: 31 kept for evaluation, 7 somebody disliked the answer." in text
    assert "Regression questions gained: 1 question" in text
    assert "Options: epochs 5, lora (dora no, rank 8)." in text
    assert "100 steps in 4 min. The best dev score, 0.432, came after step 100" in text
    assert len(app.get("plotly_chart")) == 2
    effects = next(one.value for one in app.dataframe if "p (Holm)" in one.value)
    assert effects["Questions"].tolist() == [
        "test questions",
        "– animals",
        "– drinks",
        "asked later",
        "made questions",
        "regression questions",
    ]
    assert effects["p (Holm)"].tolist()[0] == ".005"  # .0008 of six
    assert effects["Detectable"].tolist()[0] == "0.025"
    gained = next(one.value for one in app.dataframe if "Rank before" in one.value)
    assert gained["Question"].tolist() == ["How long do cats sleep?", "q04"]
    assert gained["Rank before"].tolist() == ["not found", "8"]
    app.button_group(key="training_metric").select("recall@10").run()
    assert not app.exception
    effects = next(one.value for one in app.dataframe if "p (Holm)" in one.value)
    assert effects["Questions"].tolist() == ["test questions"]


def test_a_running_run_is_watched_and_one_whose_process_is_gone_says_so(
    open_page, workspace, dense, said
) -> None:
    save_toy_run(dense, workspace, "r1", "running", BEGUN)
    with run_folder(workspace, "r1").held():
        app = open_page("training", workspace)
        assert not app.exception
        assert "ragdiag tune cancel r1" in said(app)
        assert len(app.get("plotly_chart")) == 1
    app = open_page("training", workspace)
    assert "Its process went away before it was done" in said(app)


def test_a_run_of_which_little_is_known_is_shown_all_the_same(
    open_page, workspace, dense, said
) -> None:
    none = Estimate.undefined("one question is too few", n=1)
    odd = replace(BEGUN, measured=(Measured("temporal", (Change("MRR@10", none, none, none),)),))
    save_run(dense, TrainingRun("r1", "retriever", "done", odd.to_json()))
    save_run(dense, TrainingRun("r2", "retriever", "done", {"method": "x"}))
    app = open_page("training", workspace, run="r1")
    assert not app.exception
    assert "No step has been taken yet" in said(app)
    app = open_page("training", workspace, run="r2")
    assert not app.exception
    assert "facts of training run r2 cannot be read" in said(app)


def test_a_link_to_a_run_that_is_not_there_opens_another_and_says_so(
    open_page, workspace, dense, said
) -> None:
    app = open_page("training", workspace, run="r9")
    assert not app.exception
    assert "There is no run “r9” here; there is none at all." in said(app)
    save_toy_run(dense, workspace, "r1", "done", DONE)
    app = open_page("training", workspace, run="<b>r9</b>")
    assert not app.exception
    assert app.selectbox(key="run").value == "r1"
    assert "There is no run “<b>r9</b>” here; this is r1." in said(app)
    assert "There is no run" not in said(open_page("training", workspace, run="r1"))


def test_a_running_command_can_be_cancelled(
    open_page, workspace, dense, said, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = JobProgress("running", 0.4, "step 4 of 10", 1, "2026-01-01T00:00:00+00:00")
    job = jobs.Job("tune", Path("tune.json"), running)
    cancelled: list[jobs.Job] = []
    monkeypatch.setattr(jobs, "tune_job", lambda workspace: job)
    monkeypatch.setattr(jobs, "cancel", cancelled.append)
    app = press(open_page("training", workspace), "tune_cancel")
    assert not app.exception
    assert cancelled == [job]
    assert next(one for one in app.button if one.key == "tune_start").disabled


def test_how_a_command_failed_is_told_until_it_is_dismissed(
    open_page, workspace, dense, said
) -> None:
    failed = JobProgress("failed", 0.4, "", 1, "2026-01-01T00:00:00+00:00", "8 pairs; judge more")
    write_progress(workspace.jobs / "tune.json", failed)
    app = open_page("training", workspace)
    assert "8 pairs; judge more" in said(app)
    app = press(app, "tune_dismiss")
    assert "8 pairs" not in said(app)


def test_a_command_that_was_cancelled_is_no_failure_and_says_what_is_kept(
    open_page, workspace, dense, said
) -> None:
    at = "2026-01-01T00:00:00+00:00"
    write_progress(
        workspace.jobs / "tune.json",
        JobProgress("cancelled", 0.4, "step 4 of 10", 1, at, STOPPED),
    )
    app = open_page("training", workspace)
    assert not app.error
    assert "The command was cancelled" in [one.proto.title for one in app.info]
    assert "finished parts are kept. It last said: step 4 of 10" in said(app)
    assert "failed" not in said(app)
    app = press(app, "tune_dismiss")
    assert "finished parts" not in said(app)


def test_a_read_only_dashboard_starts_and_stops_nothing(open_page, workspace, dense, said) -> None:
    workspace.configuration.write_text("[dashboard]\nread_only = true\n")
    save_toy_run(dense, workspace, "r1", "done", DONE)
    app = open_page("training", workspace)
    assert not app.exception
    assert not app.button
    assert "read-only" in said(app)
