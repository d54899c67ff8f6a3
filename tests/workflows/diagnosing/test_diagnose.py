"""A failure diagnosed with a served generator: what it asks, what it keeps, and what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest

from ragdiag.cli import main
from ragdiag.deploy.prune import prune_builds
from ragdiag.diagnosis.levers import WorkRates
from ragdiag.errors import InputError
from ragdiag.records import GoldAnswer, Judgment, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import (
    add_gold_answers,
    add_judgments,
    add_questions,
    remove_documents,
)
from ragdiag.store.findings import load_diagnoses, load_replays
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import OpenAISpec, Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing.counted_levers import counted_levers
from ragdiag.workflows.diagnosing.diagnose import Scope, open_diagnosis
from ragdiag.workflows.diagnosing.replays import Limits
from ragdiag.workflows.grading.reviews import save_label
from ragdiag.workflows.indexing.build import build_version_index
from tests.diagnosed import diagnose
from tests.faulty_server import FaultyServer, reply
from tests.stocked import Add

PRICES = "prompt_price = 1.0\ncompletion_price = 1.0\n"
SPEC = """[lexical]
[generator]
kind = "openai"
model = "reader"
base_url = "{url}"
retries = 0
max_output_tokens = 100
"""


@pytest.fixture
def reader(faulty_server: FaultyServer) -> FaultyServer:
    """A model that reads its passages: it knows one answer, and says another without it."""
    known = "fifteen hours a day"
    faulty_server.says(lambda asked: f"{known} [1]" if known in asked else "two weeks")
    return faulty_server


def lost(lake: Lake, workspace: Workspace, reader: FaultyServer, more: str = "") -> Version:
    """A version evaluated on one question none of whose words BM25 finds."""
    add_questions(lake, [Question("q-lost", "qwertz?", "keys")])
    add_judgments(lake, [Judgment("q-lost", "cats", 1, "lost")])
    add_gold_answers(lake, [GoldAnswer("q-lost", ("fifteen hours a day",))])
    version = Version("served", parse_spec(SPEC.format(url=reader.base_url) + more, source="toy"))
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    evaluate(lake, workspace, version, "lost")
    reader.seen.clear()
    return version


ONE = Limits(concurrency=1)


def test_a_lost_passage_is_mended_by_giving_it_back(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    found = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (found.verdicts, found.causes) == ({"retrieval": 1}, {"recall_miss": 1})
    assert found.fixes == {"g+": 1}
    assert found.headroom["tau"].value == 1.0
    assert found.headroom["tau_rerank"].value == 0.0
    # r, s, r-g and none are one context, g and g+ another; both are asked twice.
    assert found.calls == len(reader.seen) == 4
    (draws,) = load_replays(corpus, load_ids(corpus)).values()
    assert {draw.arm for draw in draws} == {"r", "s", "g", "g+", "r-g", "none"}


def test_a_replay_of_the_labelled_answer_is_graded_by_its_label(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    """The grader takes “two weeks” for right, a reviewer does not: given gold, it is mended."""
    version = lost(corpus, workspace, reader)
    add_gold_answers(corpus, [GoldAnswer("q-lost", ("fifteen hours a day", "two weeks"))])
    assert diagnose(corpus, workspace, version, split="lost", limits=ONE).failures == 0
    (name,) = load_ids(corpus)
    save_label(corpus, "ada", name, "wrong")
    found = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (found.verdicts, found.fixes) == ({"retrieval": 1}, {"g+": 1})
    evidence = load_diagnoses(corpus, [name])[name].evidence
    assert (evidence["grader"], evidence["p"]["r"], evidence["p"]["g"]) == ("human", 0, 1)


def test_a_second_diagnosis_asks_nothing(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    first = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    reader.seen.clear()
    again = diagnose(corpus, workspace, version, split="lost", again=True)
    assert reader.seen == []
    assert again.calls == 0
    assert again.snapshot > first.snapshot
    assert replace(again, snapshot=first.snapshot).to_json() == first.to_json()


def test_a_spent_budget_leaves_the_request_and_the_next_run_goes_on(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    limited = Limits(max_calls=2, concurrency=1)
    first = diagnose(corpus, workspace, version, split="lost", limits=limited)
    assert (first.calls, first.left, first.verdicts) == (2, 1, {})
    assert "1 requests left" in first.to_text()
    second = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (second.calls, second.left, second.verdicts) == (2, 0, {"retrieval": 1})


def test_a_correction_of_the_gold_is_diagnosed_anew(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    add_judgments(
        corpus, [Judgment("q-lost", "cats", 0, "lost"), Judgment("q-lost", "tea", 1, "lost")]
    )
    wrong = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert wrong.verdicts == {"label_suspect": 1}
    add_judgments(
        corpus, [Judgment("q-lost", "cats", 1, "lost"), Judgment("q-lost", "tea", 0, "lost")]
    )
    assert load_ids(corpus) == []
    mended = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert mended.verdicts == {"retrieval": 1}
    add_gold_answers(corpus, [GoldAnswer("q-lost", ("two weeks",))])
    assert diagnose(corpus, workspace, version, split="lost", limits=ONE).failures == 0


def test_the_rate_of_failures_does_not_depend_on_the_budget(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    add_questions(corpus, [Question("q-found", "How long do cats sleep?", "cats")])
    add_judgments(corpus, [Judgment("q-found", "cats", 1, "lost")])
    add_gold_answers(corpus, [GoldAnswer("q-found", ("fifteen hours a day",))])
    evaluate(corpus, workspace, version, "lost")
    limited = Limits(max_calls=0, concurrency=1)
    cut = diagnose(corpus, workspace, version, split="lost", limits=limited)
    whole = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (cut.diagnosed, whole.diagnosed) == (0, 1)
    assert cut.to_text().startswith("1 of 2 requests failed\n0 of 1 failures diagnosed\n")
    assert "failures diagnosed" not in whole.to_text()
    assert cut.failing
    for name in ("n", "failures", "ungraded", "failed", "failed_bounds", "failing"):
        assert getattr(cut, name) == getattr(whole, name), name


def test_a_failed_replay_is_asked_again_by_the_next_run(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    is_up = reader.respond

    def fails_on_gold(handler: BaseHTTPRequestHandler) -> None:
        if "fifteen" in reader.seen[-1]["messages"][-1]["content"]:
            reply(handler, 500, b"busy")
        else:
            is_up(handler)

    reader.respond = fails_on_gold
    first = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (first.verdicts, first.failed_arms) == ({"undetermined": 1}, {"g": 1, "g+": 1})
    assert "the generator failed on g (1), g+ (1)" in first.to_text()
    reader.respond = is_up
    second = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (second.calls, second.verdicts, second.failed_arms) == (2, {"retrieval": 1}, {})
    assert diagnose(corpus, workspace, version, split="lost", limits=ONE).calls == 0


def test_a_generator_that_varies_on_gold_alone_is_drawn_from_and_said_to(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    reader.says(
        lambda asked: f"fifteen hours a day, {len(reader.seen)} [1]" if "fifteen" in asked else "no"
    )
    found = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (found.calls, found.verdicts) == (6, {"retrieval": 1})
    assert found.varied_arms == found.to_json()["varied_arms"] == {"g": 1, "g+": 1}
    assert "gave different answers to g (1), g+ (1)" in found.to_text()
    (name,) = load_ids(corpus)
    evidence = load_diagnoses(corpus, [name])[name].evidence
    assert (evidence["deterministic"], evidence["draws"]["g"]) == (False, 3)


def test_a_stronger_generator_is_asked_on_gold_and_on_what_was_logged(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    workspace.configuration.write_text(
        f'[replay]\n[replay.stronger]\nkind = "openai"\nmodel = "big"\n'
        f'base_url = "{reader.base_url}"\n'
    )
    found = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert [body["model"] for body in reader.seen] == ["reader"] * 4 + ["big"] * 4
    # Both generators do what the retriever lets them: all of the headroom is the retriever's.
    assert found.headroom["phi_R"].value == 1.0
    assert found.headroom["phi_G"].value == 0.0


@pytest.mark.parametrize(
    ("second", "found"),
    [("twenty hours", ("label_suspect", "gold_answer")), ("a whole night", ("retrieval", None))],
)
def test_two_other_generators_doubt_the_gold_answer_where_they_agree_on_another(
    corpus: Lake,
    workspace: Workspace,
    reader: FaultyServer,
    second: str,
    found: tuple[str, str | None],
) -> None:
    version = lost(corpus, workspace, reader)
    tables = "".join(
        f'[replay.{table}]\nkind = "openai"\nmodel = "{table}"\nbase_url = "{reader.base_url}"\n'
        for table in ("stronger", "second")
    )
    workspace.configuration.write_text(tables)
    on_gold = {"reader": "fifteen hours a day", "stronger": "It is twenty hours.", "second": second}
    reader.says(
        lambda asked: on_gold[reader.seen[-1]["model"]] if "fifteen" in asked else "two weeks"
    )
    told = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    models = [body["model"] for body in reader.seen]
    assert models == ["reader"] * 4 + ["stronger"] * 4 + ["second"] * 2
    (name,) = load_ids(corpus)
    diagnosis = load_diagnoses(corpus, [name])[name]
    assert (told.verdicts, (diagnosis.verdict, diagnosis.second_level)) == ({found[0]: 1}, found)


def test_the_price_comes_first_and_can_be_limited(
    corpus: Lake, workspace: Workspace, reader: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    version = lost(corpus, workspace, reader, PRICES)
    run = open_diagnosis(corpus, workspace, version, Scope("lost"))
    plan = run.plan()
    assert (plan.requests, plan.calls, plan.most_calls) == (1, 4, 6)
    assert plan.cost_usd == pytest.approx((plan.prompt_tokens + 6 * 100) / 1e6)
    arguments = ["--workspace", str(workspace.root), "diagnose", "served", "--split", "lost"]
    assert main([*arguments]) == 0
    assert "add --yes" in capsys.readouterr().out
    assert main([*arguments, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 4
    assert main([*arguments, "--yes", "--max-cost", "0.000001", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == 1
    assert reader.seen == []


def test_without_prices_the_cost_cannot_be_limited(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    version = lost(corpus, workspace, reader)
    assert isinstance(version.spec.generator, OpenAISpec)
    with pytest.raises(InputError, match="prompt_price"):
        open_diagnosis(corpus, workspace, version, Scope("lost"), Limits(max_cost_usd=1.0))


def test_a_passage_that_came_after_the_build_is_a_stale_gap(
    corpus: Lake, workspace: Workspace, reader: FaultyServer, add: object
) -> None:
    add("rust")  # type: ignore[operator]
    version = lost(corpus, workspace, reader)
    add("fresh")  # type: ignore[operator]
    add_questions(corpus, [Question("q-gap", "qwertz uiop?")])
    add_judgments(corpus, [Judgment("q-gap", "fresh", 1, "gap")])
    add_gold_answers(corpus, [GoldAnswer("q-gap", ("about fresh",))])
    evaluate(corpus, workspace, version, "gap")
    found = diagnose(corpus, workspace, version, split="gap", limits=ONE)
    assert found.second_levels == {"stale": 1}
    assert found.to_json()["second_levels"] == {"stale": 1}


def test_a_passage_that_was_removed_is_missing(
    corpus: Lake, workspace: Workspace, reader: FaultyServer
) -> None:
    """Building again would not bring it back, so that is not what is told."""
    version = lost(corpus, workspace, reader)
    remove_documents(corpus, ["cats"])
    build_version_index(corpus, workspace, version)
    evaluate(corpus, workspace, version, "lost")
    found = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (found.verdicts, found.second_levels) == ({"corpus": 1}, {"missing": 1})
    told = load_diagnoses(corpus, load_ids(corpus)).values()
    (lever,) = counted_levers(list(told), range(len(told)), WorkRates(), version.name, "lost")
    assert lever.name == "add what 1 questions ask for"


def test_of_a_pruned_build_what_the_log_shows_is_told(
    corpus: Lake, workspace: Workspace, reader: FaultyServer, add: Add
) -> None:
    """A label makes its verdict out of date long after the build is gone."""
    version = lost(corpus, workspace, reader)
    diagnose(corpus, workspace, version, split="lost", limits=ONE)
    (name,) = load_ids(corpus)
    save_label(corpus, "ada", name, "correct")
    assert diagnose(corpus, workspace, version, split="lost", limits=ONE).failures == 0
    for fresh in ("rust", "salt"):
        add(fresh)
        build_version_index(corpus, workspace, version)
    assert len(prune_builds(corpus, workspace, datetime.now(UTC)).builds) == 1
    save_label(corpus, "ada", name, "wrong")
    reader.seen.clear()
    found = diagnose(corpus, workspace, version, split="lost", limits=ONE)
    assert (found.verdicts, found.causes) == ({"retrieval": 1}, {"recall_miss": 1})
    assert (found.tiers, found.fixes) == ({"B": {"retrieval": 1}}, {})
    assert reader.seen == []


def test_a_verdict_over_a_pruned_build_is_not_made_anew(
    corpus: Lake, workspace: Workspace, reader: FaultyServer, add: Add
) -> None:
    """Its replays cannot be had again, and what the log shows alone is less."""
    version = lost(corpus, workspace, reader)
    diagnose(corpus, workspace, version, split="lost", limits=ONE)
    for fresh in ("rust", "salt"):
        add(fresh)
        build_version_index(corpus, workspace, version)
    assert prune_builds(corpus, workspace, datetime.now(UTC)).builds
    again = diagnose(corpus, workspace, version, split="lost", limits=ONE, again=True)
    assert (again.tiers, again.fixes) == ({"A": {"retrieval": 1}}, {"g+": 1})


def load_ids(lake: Lake) -> list[str]:
    ids = [row["request_id"] for row in lake.rows("select request_id from requests")]
    return list(load_diagnoses(lake, ids))
