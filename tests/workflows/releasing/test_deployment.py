"""Canaries and shadows from their start to their end, on logged traffic of stated quality."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pytest

from ragdiag.commands.deploy_words import look_text, plan_text
from ragdiag.deploy.plan import Plan
from ragdiag.errors import InputError, UnknownName
from ragdiag.identifiers import shadow_id
from ragdiag.instrumentation.sampling import Sampler, Sampling
from ragdiag.records import Deployment, Feedback, IndexBuild, Request
from ragdiag.retrieval.serving import pointer_path
from ragdiag.settings import Workspace
from ragdiag.stats.failure_shares import change_of_counts
from ragdiag.stats.gates import gate_errors
from ragdiag.store import deployments
from ragdiag.store.deployments import current_deployment, load_deployments
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.store.results import save_build, save_version
from ragdiag.store.training_runs import TrainingRun, save_run
from ragdiag.training.runs import Candidate, Gated
from ragdiag.version import ExtractiveSpec, LexicalSpec, Spec, Version
from ragdiag.workflows.releasing.decisions import decide, promote, watch_once
from ragdiag.workflows.releasing.deployment import (
    Terms,
    roll_back,
    set_production,
    start_canary,
    start_shadow,
)
from tests.answered import MONDAY, NEW, OLD, THIRD, answer, fill_corpus, log
from tests.training_runs import DONE

DAY = timedelta(days=1)
STARTED = MONDAY + DAY


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_workspace: Workspace) -> Workspace:
    """``old`` has served 1,000 requests on Monday, of which one in ten is wrong."""
    workspace = Workspace(tmp_path_factory.mktemp("served") / "workspace")
    shutil.copytree(empty_workspace.root, workspace.root)
    lake = fill_corpus(workspace)
    set_production(lake, "old", actor="ada")
    log(lake, workspace, traffic(OLD, 1_000, MONDAY, wrong=0.1))
    close_lakes()
    return workspace


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], served: Workspace) -> Iterator[Lake]:
    """Where it is Tuesday."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(deployments, "now_utc", lambda: STARTED.replace(tzinfo=None))
        yield copied(served)


def traffic(
    version: Version,
    n: int,
    since: datetime,
    *,
    wrong: float,
    kind: str = "production",
    first: int = 0,
    **changes: object,
) -> list[Request]:
    """Requests a second apart by as many users, wrong at random with that chance."""
    chance = np.random.default_rng([n, first, int(1000 * wrong)])
    return [
        answer(
            number,
            version,
            right=bool(chance.random() >= wrong),
            request_id=f"{kind}-{version.name}-{since:%d}-{number:05}",
            asked_at=since + timedelta(seconds=number),
            traffic=kind,
            user_key=f"{kind}-{number}",
            total_ms=float(20 + chance.integers(0, 40)),
            **changes,
        )
        for number in range(first, first + n)
    ]


def tried(lake: Lake, workspace: Workspace, *, wrong: float, n: int = 400, **plan: object) -> None:
    """``new`` as a canary, with its first ``n`` requests and 800 of production meanwhile."""
    terms = Terms(**{"planned_n": 300, **plan})  # type: ignore[arg-type]
    start_canary(lake, workspace, "new", 0.3, terms, actor="ada")
    log(lake, workspace, traffic(OLD, 800, STARTED, wrong=0.1))
    log(lake, workspace, traffic(NEW, n, STARTED, wrong=wrong, kind="canary"))


def test_a_canary_is_planned_from_what_production_showed(lake: Lake, workspace: Workspace) -> None:
    event = start_canary(lake, workspace, "new", 0.05, Terms(), actor="ada")
    assert (event.kind, event.actor, event.happened_at) == ("canary", "ada", STARTED)
    assert event.deployment == Deployment(OLD.version_id, canary=NEW.version_id, share=0.05)
    plan = Plan.from_json(event.evidence["plan"])
    mean = 1 - plan.monitors["failures"].bad / 1_000
    spread = float(np.std([0] * plan.monitors["failures"].bad + [1] * round(1_000 * mean), ddof=1))
    # 2.80 standard errors of a 2 % loss, with 19 requests of production to one of the canary.
    expected = (2.8 * spread / (0.02 * mean)) ** 2 / 0.95
    assert plan.planned_n == pytest.approx(expected, abs=1)
    assert plan.detectable == pytest.approx(0.02 * mean, rel=1e-3)
    assert plan.planned_requests == plan.planned_n
    assert plan.level == 20 * plan.planned_n
    assert plan.slow_ms == pytest.approx(1.1 * 57, abs=1.2)
    assert set(plan.monitors) == {"failures", "errors", "slow"}
    assert 0.1 < plan.monitors["failures"].p0 < 0.14
    assert plan.monitors["errors"].p0 < 0.005


def test_where_production_was_never_wrong_the_number_must_be_given(
    copied: Callable[[Workspace], Lake], answered_corpus: Workspace, workspace: Workspace
) -> None:
    lake = copied(answered_corpus)
    set_production(lake, "old", actor="ada")
    log(lake, workspace, traffic(OLD, 300, MONDAY, wrong=0.0))
    with pytest.raises(InputError, match=r"all 300 of .* no spread; give --planned-n"):
        start_canary(lake, workspace, "new", 0.05, Terms(), actor="ada")
    event = start_canary(lake, workspace, "new", 0.05, Terms(planned_n=500), actor="ada")
    assert Plan.from_json(event.evidence["plan"]).detectable is None


def test_a_number_with_which_no_canary_passes_is_refused_and_a_shadow_is_told(
    lake: Lake, workspace: Workspace
) -> None:
    """Of 188 requests without any error the upper bound is over two in a hundred."""
    with pytest.raises(InputError, match=r"with 188 judged .*; give --planned-n 189 or more"):
        start_canary(lake, workspace, "new", 0.3, Terms(planned_n=188), actor="ada")
    event = start_canary(lake, workspace, "new", 0.3, Terms(planned_n=189), actor="ada")
    assert Plan.from_json(event.evidence["plan"]).least_n == 189
    event = start_shadow(lake, workspace, "third", Terms(planned_n=50), actor="ada")
    told = plan_text(Plan.from_json(event.evidence["plan"]))
    assert "too few to pass the gate: that takes 189 judged requests" in told


@pytest.mark.parametrize(
    ("failed", "cached", "judged", "least"),
    [
        (0, 0, 1_000, 189),
        (80, 0, 1_000, 73),  # nothing but p95 asks for more than users
        (0, 600, 1_000, 473),  # 189 that no cache answers
        (0, 0, 400, 76),  # 189 requests, two of five judged
        (0, 0, 0, 30),  # nobody knows how many requests the judged ones come with
        (0, 1_000, 1_000, 30),
    ],
)
def test_the_least_number_is_of_what_production_showed(
    copied: Callable[[Workspace], Lake],
    answered_corpus: Workspace,
    workspace: Workspace,
    failed: int,
    cached: int,
    judged: int,
    least: int,
) -> None:
    lake = copied(answered_corpus)
    set_production(lake, "old", actor="ada")
    asked = [
        replace(
            one,
            cache_hit=number >= 1_000 - cached,
            status="error" if number < failed else "ok",
            **({} if number < judged else {"question_id": None, "question": "Why?"}),
        )
        for number, one in enumerate(traffic(OLD, 1_000, MONDAY, wrong=0.1))
    ]
    log(lake, workspace, asked)
    refused = rf"with {least - 1} judged .*--planned-n {least} or more"
    with pytest.raises(InputError, match=refused):
        start_canary(lake, workspace, "new", 0.3, Terms(planned_n=least - 1), actor="ada")
    event = start_canary(lake, workspace, "new", 0.3, Terms(planned_n=least), actor="ada")
    plan = Plan.from_json(event.evidence["plan"])
    assert (plan.least_n, plan.share) == (least, 0.3)


def test_a_plan_of_its_own_can_be_passed_by_a_version_that_errs_as_often(
    copied: Callable[[Workspace], Lake], answered_corpus: Workspace, workspace: Workspace
) -> None:
    lake = copied(answered_corpus)
    set_production(lake, "old", actor="ada")
    asked = traffic(OLD, 1_000, MONDAY, wrong=0.0)
    failed = [replace(one, status="error", answer="") for one in asked[:5]]
    log(lake, workspace, [*failed, *asked[5:]])
    event = start_shadow(lake, workspace, "new", Terms(), actor="ada")
    plan = Plan.from_json(event.evidence["plan"])
    n = plan.planned_n
    assert n > plan.least_n == 143  # of which production fails once
    wrong = math.ceil(0.005 * n)
    assert gate_errors(change_of_counts(round(0.005 * n), n, wrong, n)).decision == "pass"


def test_a_hold_of_the_gate_names_the_way_on(lake: Lake, workspace: Workspace) -> None:
    tried(lake, workspace, wrong=0.08)
    look = decide(lake, workspace, apply=False, actor="ada").look
    assert (look.action, bool(look.criteria)) == ("hold", True)
    assert "decides neither way: end it (ragdiag deploy rollback canary)" in look.reason
    hint = r"\(ragdiag deploy canary VERSION --share 30%\) with --planned-n (\d+) or more"
    (number,) = re.findall(hint, look.reason)
    assert int(number) > 300


def test_where_few_requests_are_judged_the_watch_is_planned_for_all_of_them(
    lake: Lake, workspace: Workspace
) -> None:
    unknown = traffic(OLD, 1_000, MONDAY - DAY, wrong=0.1, question_id=None, question="Why?")
    log(lake, workspace, unknown)
    event = start_canary(lake, workspace, "new", 0.5, Terms(planned_n=300), actor="ada")
    plan = Plan.from_json(event.evidence["plan"])
    assert (plan.planned_n, plan.planned_requests, plan.level) == (300, 600, 12_000)
    assert (plan.monitors["failures"].n, plan.monitors["errors"].n) == (1_000, 2_000)


def test_a_canary_is_judged_by_questions_known_from_their_texts(
    lake: Lake, workspace: Workspace
) -> None:
    start_canary(lake, workspace, "new", 0.3, Terms(planned_n=300), actor="ada")
    unnamed = traffic(NEW, 100, STARTED, wrong=1.0, kind="canary", question_id=None)
    log(lake, workspace, unnamed)
    look = decide(lake, workspace, apply=False, actor="ada").look
    assert (look.judged, look.alarms) == (100, ["failures"])


def test_a_good_canary_is_held_until_the_planned_number_and_then_promoted(
    lake: Lake, workspace: Workspace
) -> None:
    tried(lake, workspace, wrong=0.02, n=200)
    early = decide(lake, workspace, apply=True, actor="ada")
    assert (early.look.action, early.look.judged, early.look.criteria) == ("hold", 200, {})
    assert early.event is not None
    assert (early.event.kind, early.event.deployment.canary) == ("hold", NEW.version_id)
    log(
        lake,
        workspace,
        traffic(NEW, 200, STARTED, wrong=0.02, kind="canary", first=200),
    )
    assert decide(lake, workspace, apply=False, actor="ada").event is None
    found = decide(lake, workspace, apply=True, actor="ada")
    assert {one.decision for one in found.look.criteria.values()} == {"pass", None}
    assert found.event is not None
    assert (found.event.kind, found.event.deployment) == (
        "promote",
        Deployment(NEW.version_id, previous=OLD.version_id),
    )
    assert found.event.evidence["look"]["gate"]["quality"]["decision"] == "pass"
    assert found.event.evidence["look"]["gate"]["quality"]["difference"]["n"] == 300
    json.dumps(found.to_json(), allow_nan=False)


def test_the_gate_is_applied_once_however_much_comes_later(
    lake: Lake, workspace: Workspace
) -> None:
    tried(lake, workspace, wrong=0.1, n=320)
    first = decide(lake, workspace, apply=False, actor="ada").look
    log(lake, workspace, traffic(NEW, 200, STARTED, wrong=0.0, kind="canary", first=320))
    log(lake, workspace, traffic(OLD, 200, STARTED, wrong=0.9, first=800))
    second = decide(lake, workspace, apply=False, actor="ada").look
    assert second.judged == 520
    assert {name: one.to_json() for name, one in second.criteria.items()} == {
        name: one.to_json() for name, one in first.criteria.items()
    }


def test_a_bad_canary_is_rolled_back_by_an_alarm_before_the_planned_number(
    lake: Lake, workspace: Workspace
) -> None:
    tried(lake, workspace, wrong=0.5, n=150)
    (watched,) = watch_once(lake, workspace, actor="watch")
    assert watched.look.alarms == ["failures"]
    rate = watched.look.rates["failures"]
    assert rate.watched.n < 100
    assert rate.changed_at is not None
    assert rate.changed_at - STARTED < timedelta(seconds=40)
    assert watched.event is not None
    assert (watched.event.kind, watched.event.actor) == ("rollback", "watch")
    assert current_deployment(lake) == Deployment(OLD.version_id)
    evidence = watched.event.evidence["look"]
    assert evidence["reason"] == "alarm: failures"
    assert evidence["watch"]["mean_requests_between_false_alarms"] == 6_000
    assert 0 < evidence["watch"]["false_alarm_chance_so_far"] < 0.05
    assert watch_once(lake, workspace, actor="watch") == []


def test_errors_and_slowness_are_watched_too(lake: Lake, workspace: Workspace) -> None:
    start_canary(lake, workspace, "new", 0.3, Terms(planned_n=300), actor="ada")
    failing = traffic(NEW, 60, STARTED, wrong=0.0, kind="canary", status="error")
    log(lake, workspace, failing)
    assert "errors" in decide(lake, workspace, apply=False, actor="ada").look.alarms
    roll_back(lake, None, actor="ada")
    start_canary(lake, workspace, "third", 0.3, Terms(planned_n=300), actor="ada")
    slow = [
        answer(n, THIRD, traffic="canary", asked_at=STARTED + timedelta(seconds=n), total_ms=90.0)
        for n in range(100)
    ]
    log(lake, workspace, slow)
    found = decide(lake, workspace, apply=True, actor="ada")
    assert found.look.alarms == ["slow"]
    assert current_deployment(lake) == Deployment(OLD.version_id)


def test_an_equal_canary_is_not_rolled_back_by_looking_often(
    lake: Lake, workspace: Workspace
) -> None:
    start_canary(lake, workspace, "new", 0.3, Terms(planned_n=10_000), actor="ada")
    for part in range(4):
        requests = traffic(NEW, 50, STARTED, wrong=0.1, kind="canary", first=50 * part)
        log(lake, workspace, requests)
        (watched,) = watch_once(lake, workspace, actor="watch")
        assert watched.event is None
        assert (
            watched.look.reason
            == f"{50 * (part + 1)} of the 10,000 judged requests that were planned"
        )


def sampled(version: Version, n: int, since: datetime, *, kind: str, slow: float) -> list[Request]:
    """What a service logs of ``n`` requests, two of a hundred of them errors: these and slow ones,
    and one in twenty of the rest."""
    chance = np.random.default_rng(8)
    sampler = Sampler(Sampling(rate=0.05, slow_ms=500))
    found = [
        sampler.choose(
            replace(
                one,
                status="error" if chance.random() < 0.02 else "ok",
                latency_ms={"total": 900.0 if chance.random() < slow else 30.0},
            ),
            thumbs_down=False,
        )
        for one in traffic(version, n, since, wrong=0.1, kind=kind)
    ]
    return [one for one in found if one is not None]


def test_where_the_log_is_sampled_a_canary_is_judged_by_all_requests(
    lake: Lake, workspace: Workspace
) -> None:
    """It is only faster. As logged, its errors are one in four, and production's one in thirty."""
    log(lake, workspace, sampled(OLD, 3_000, MONDAY + DAY / 2, kind="production", slow=0.5))
    terms = Terms(planned_n=200, slo_ms=500)
    event = start_canary(lake, workspace, "new", 0.3, terms, actor="ada")
    plan = Plan.from_json(event.evidence["plan"])
    assert plan.keep_probability == 0.05
    assert plan.monitors["slow"].bad / plan.monitors["slow"].n < 0.6
    log(lake, workspace, sampled(OLD, 3_000, STARTED, kind="production", slow=0.5))
    logged = sampled(NEW, 6_000, STARTED, kind="canary", slow=0.0)
    assert np.mean([one.status == "error" for one in logged]) > 0.2
    log(lake, workspace, logged)
    look = decide(lake, workspace, apply=False, actor="ada").look
    assert look.alarms == []
    assert look.n == pytest.approx(300, abs=45)
    assert look.left_out == look.to_json()["left_out"] > 1_000
    for measures in look.arms.values():
        assert measures["errors"].low < 0.02 < measures["errors"].high
        assert measures["correct"].low < 0.9 < measures["correct"].high
    assert {look.criteria[name].decision for name in ("latency", "errors")} <= {
        "pass",
        "inconclusive",
    }
    (line,) = [line for line in look_text(look, {}).splitlines() if "sampled" in line]
    assert f"{look.left_out:,} logged requests are left out" in line
    assert "sampled: 0.05 of all requests count" in plan_text(plan)


def test_a_promoted_version_is_watched_and_production_goes_back(
    lake: Lake, workspace: Workspace
) -> None:
    tried(lake, workspace, wrong=0.02)
    promote(lake, workspace, actor="ada")
    log(lake, workspace, traffic(NEW, 100, STARTED + DAY, wrong=0.02))
    (calm,) = watch_once(lake, workspace, actor="watch")
    assert (calm.look.side, calm.look.reason, calm.event) == ("production", "no alarm", None)
    log(lake, workspace, traffic(NEW, 100, STARTED + DAY, wrong=0.6, first=100))
    (alarmed,) = watch_once(lake, workspace, actor="watch")
    assert alarmed.event is not None
    assert "release_plan" not in alarmed.event.evidence
    assert current_deployment(lake) == Deployment(OLD.version_id)
    assert alarmed.event.evidence["look"]["side"] == "production"
    assert alarmed.look.plan.level == 200_000


def test_thumbs_are_reported_and_decide_nothing(lake: Lake, workspace: Workspace) -> None:
    tried(lake, workspace, wrong=0.1, n=100)
    thumbs = [
        Feedback(f"f{n}", f"canary-new-06-{n:05}", STARTED, "thumbs", 1.0 if n % 4 else -1.0)
        for n in range(40)
    ]
    log(lake, workspace, thumbs)
    look = decide(lake, workspace, apply=False, actor="ada").look
    assert look.arms["new"]["thumbs_up"].value == 0.75
    assert look.arms["old"]["thumbs_up"].reason == "no rows"
    assert look.action == "hold"


def test_ranking_can_be_the_measure(lake: Lake, workspace: Workspace) -> None:
    start_canary(lake, workspace, "new", 0.3, Terms("MRR@10", 200), actor="ada")
    log(lake, workspace, traffic(OLD, 300, STARTED, wrong=0.1))
    log(lake, workspace, traffic(NEW, 250, STARTED, wrong=0.1, kind="canary", rank=3))
    look = decide(lake, workspace, apply=False, actor="ada").look
    assert look.criteria["quality"].b == pytest.approx(1 / 3)
    assert look.action == "rollback"


def test_a_rollback_that_comes_second_leaves_production_alone(
    lake: Lake, workspace: Workspace
) -> None:
    tried(lake, workspace, wrong=0.1, n=50)
    promote(lake, workspace, actor="ada")
    start_shadow(lake, workspace, "third", Terms(planned_n=300), actor="ada")
    assert roll_back(lake, None, actor="ada").deployment.shadow is None
    with pytest.raises(InputError, match="ragdiag deploy rollback production"):
        roll_back(lake, None, actor="bob")
    assert current_deployment(lake) == Deployment(NEW.version_id, previous=OLD.version_id)
    assert roll_back(lake, "production", actor="bob").deployment == Deployment(OLD.version_id)


def test_who_decides_on_an_older_state_is_told(lake: Lake, workspace: Workspace) -> None:
    tried(lake, workspace, wrong=0.1, n=50)
    roll_back(lake, "canary", actor="ada", reason="it smells")
    assert load_deployments(lake)[-1].evidence == {"by_hand": True, "reason": "it smells"}
    with pytest.raises(InputError, match="neither a canary nor a shadow"):
        decide(lake, workspace, apply=True, actor="ada")


@pytest.mark.parametrize("decision", ["rollback", "inconclusive", None])
def test_a_tuned_version_that_its_gate_did_not_pass_is_no_canary(
    lake: Lake, workspace: Workspace, decision: Literal["rollback", "inconclusive"] | None
) -> None:
    gate = None if decision is None else Gated(decision)
    facts = replace(DONE, gate=gate, candidate=Candidate("new", NEW.version_id))
    save_run(lake, TrainingRun("r1", "retriever", "done", facts.to_json()))
    said = f"the gate of its training run r1 says {decision or 'open'}"
    terms = Terms(planned_n=500)
    with pytest.raises(InputError, match=f"new was tuned, and {said}; .*deploy shadow new"):
        start_canary(lake, workspace, "new", 0.1, terms, actor="ada")
    assert len(load_deployments(lake)) == 1
    forced = start_canary(lake, workspace, "new", 0.1, terms, actor="ada", force=True)
    assert forced.evidence["forced"] == said
    roll_back(lake, "canary", actor="ada")
    passed = replace(facts, gate=Gated("pass"))
    save_run(lake, TrainingRun("r1", "retriever", "done", passed.to_json()))
    event = start_canary(lake, workspace, "new", 0.1, terms, actor="ada")
    assert "forced" not in event.evidence


def test_what_cannot_run_or_be_planned_says_why(lake: Lake, workspace: Workspace) -> None:
    bare = Version("bare", Spec(lexical=LexicalSpec(k1=2.0), generator=ExtractiveSpec()))
    save_version(lake, bare)
    for name, terms, error, told in (
        ("bare", Terms(), UnknownName, "ragdiag index build bare"),
        ("nwe", Terms(), UnknownName, "no version 'nwe'"),
        ("new", Terms("recall@100"), InputError, "no metric 'recall@100'"),
        ("old", Terms(), InputError, "production itself"),
    ):
        with pytest.raises(error, match=told):
            start_canary(lake, workspace, name, 0.1, terms, actor="ada")
    assert len(load_deployments(lake)) == 1
    lake.write(lambda cursor: cursor.execute("delete from gold_answers"))
    lake.write(lambda cursor: cursor.execute("delete from grades"))
    with pytest.raises(
        InputError, match=r"0 of production's latest requests.*--planned-n.*question_id"
    ):
        start_canary(lake, workspace, "new", 0.1, Terms(), actor="ada")
    event = start_canary(lake, workspace, "new", 0.1, Terms(planned_n=500), actor="ada")
    plan = Plan.from_json(event.evidence["plan"])
    assert (plan.detectable, set(plan.monitors)) == (None, {"errors", "slow"})
    assert "known of 0 of production's requests" in plan.unwatched["failures"]


def test_nothing_is_decided_before_anything_is_deployed(
    copied: Callable[[Workspace], Lake], empty_workspace: Workspace, workspace: Workspace
) -> None:
    lake = copied(empty_workspace)
    for attempt in (
        lambda: decide(lake, workspace, apply=False, actor="ada"),
        lambda: watch_once(lake, workspace, actor="ada"),
        lambda: roll_back(lake, None, actor="ada"),
    ):
        with pytest.raises(InputError, match="ragdiag deploy set VERSION"):
            attempt()


def test_a_shadow_is_paired_with_the_requests_it_follows(lake: Lake, workspace: Workspace) -> None:
    start_shadow(lake, workspace, "new", Terms(planned_n=200), actor="ada")
    followed = traffic(OLD, 1_000, MONDAY, wrong=0.1)[:300]
    log(
        lake,
        workspace,
        [
            *(
                replace(
                    one,
                    request_id=shadow_id(one.request_id, NEW.version_id),
                    version_id=NEW.version_id,
                    traffic="shadow",
                    asked_at=one.asked_at + DAY,
                )
                for one in followed
            ),
            *traffic(NEW, 50, STARTED, wrong=1.0, kind="shadow"),
        ],
    )
    found = decide(lake, workspace, apply=True, actor="ada")
    assert (found.look.n, found.look.judged, found.look.rates) == (300, 300, {})
    quality = found.look.criteria["quality"]
    assert (quality.change.value, quality.change.n, quality.decision) == (0.0, 200, "pass")
    assert found.event is not None
    assert found.event.deployment == Deployment(NEW.version_id, previous=OLD.version_id)


def test_where_the_log_is_sampled_a_shadow_follows_a_plain_sample(
    lake: Lake, workspace: Workspace
) -> None:
    """Of what follows it everything is logged, until the very last, which draws nothing anew."""
    asked = sampled(OLD, 3_000, MONDAY + DAY / 2, kind="production", slow=0.3)
    log(lake, workspace, asked)
    start_shadow(lake, workspace, "new", Terms(planned_n=100), actor="ada")
    answered = [
        replace(
            one,
            request_id=shadow_id(one.request_id, NEW.version_id),
            version_id=NEW.version_id,
            traffic="shadow",
            status="ok",
            keep_probability=1.0,
        )
        for one in asked
    ]
    answered[-1] = replace(answered[-1], keep_probability=0.01)
    log(lake, workspace, [replace(one, asked_at=one.asked_at + DAY) for one in answered])
    look = decide(lake, workspace, apply=False, actor="ada").look
    assert look.n == pytest.approx(150, abs=30)
    assert look.left_out == len(asked) - look.n
    assert look.arms["old"]["errors"].value == pytest.approx(0.02, abs=0.02)


def test_a_shadow_is_not_judged_by_productions_wait_in_line(
    lake: Lake, workspace: Workspace
) -> None:
    start_shadow(lake, workspace, "new", Terms(planned_n=100), actor="ada")
    work = {"packing": 1.0, "generation": 30.0}
    followed = traffic(OLD, 100, STARTED, wrong=0.0)
    asked = traffic(NEW, 100, STARTED, wrong=0.0, kind="shadow")
    log(
        lake,
        workspace,
        [
            *(replace(one, latency_ms={**work, "total": 120.0}) for one in followed),
            *(
                replace(
                    one,
                    request_id=shadow_id(other.request_id, NEW.version_id),
                    latency_ms={"packing": 2.0, "generation": 60.0, "total": 62.0},
                )
                for one, other in zip(asked, followed, strict=True)
            ),
        ],
    )
    look = decide(lake, workspace, apply=False, actor="ada").look
    latency = look.criteria["latency"]
    assert (latency.a, latency.b, latency.decision) == (31.0, 62.0, "rollback")
    assert look.arms["old"]["p95_ms"].value == 31.0


def test_what_caches_save_is_no_difference_between_versions(
    lake: Lake, workspace: Workspace
) -> None:
    def part_hits(version: Version, n: int, kind: str, one_hit_in: int) -> list[Request]:
        anew = traffic(version, n, STARTED, wrong=0.0, kind=kind, cost_usd=0.01)
        return [
            replace(one, cache_hit=True, cost_usd=0.0) if number % one_hit_in == 0 else one
            for number, one in enumerate(anew)
        ]

    start_canary(lake, workspace, "new", 0.3, Terms(planned_n=250), actor="ada")
    production = part_hits(OLD, 1_000, "production", 2)
    log(lake, workspace, [*production, *part_hits(NEW, 250, "canary", 5)])
    canary = decide(lake, workspace, apply=False, actor="ada").look
    assert canary.criteria["cost"].decision == "pass"
    assert (canary.criteria["cost"].change.value, canary.criteria["cost"].change.n) == (1.0, 200)
    assert canary.rates["errors"].watched.n == 200
    assert canary.arms["old"]["errors"].n == 500
    roll_back(lake, "canary", actor="ada")
    start_shadow(lake, workspace, "third", Terms(planned_n=250), actor="ada")
    asked = traffic(THIRD, 300, STARTED, wrong=0.0, kind="shadow", cost_usd=0.01)
    shadows = [
        replace(one, request_id=shadow_id(followed.request_id, THIRD.version_id))
        for one, followed in zip(asked, production[:300], strict=True)
    ]
    log(lake, workspace, shadows)
    shadow = decide(lake, workspace, apply=False, actor="ada").look
    assert (shadow.criteria["cost"].decision, shadow.criteria["cost"].change.n) == ("pass", 125)
    assert shadow.criteria["errors"].change.n == 2 * 125


def test_a_shadow_runs_on_the_terms_it_began_with(lake: Lake, workspace: Workspace) -> None:
    event = start_shadow(lake, workspace, "new", Terms(planned_n=200), actor="ada")
    again = start_shadow(lake, workspace, "new", Terms(planned_n=200), actor="bob")
    assert again == event
    assert event.evidence["plan"]["monitors"] == {}
    with pytest.raises(InputError, match=r"other terms \(correct, 200 requests\)"):
        start_shadow(lake, workspace, "new", Terms(planned_n=300), actor="bob")
    other = start_shadow(lake, workspace, "third", Terms(planned_n=300), actor="bob")
    assert other.deployment == Deployment(OLD.version_id, shadow=THIRD.version_id)


def test_a_build_that_was_never_published_cannot_be_deployed(
    lake: Lake, workspace: Workspace
) -> None:
    spec = Spec(lexical=LexicalSpec(k1=0.7), generator=ExtractiveSpec())
    save_version(lake, Version("unseen", spec))
    pointer = pointer_path(workspace, spec.index_key)
    pointer.parent.mkdir(parents=True)
    pointer.write_text(json.dumps({"publications": []}))
    save_build(lake, IndexBuild("b9", spec.index_key, "c", 1, None, None, 1, 0.1, MONDAY, {}))
    with pytest.raises(UnknownName, match="no index build of version unseen has been published"):
        set_production(lake, "unseen", actor="ada")
    with pytest.raises(UnknownName, match="index publish unseen"):
        start_canary(lake, workspace, "unseen", 0.1, Terms(), actor="ada")
