"""``ragdiag grade``: have answers graded, hold graders against people, correct their rates."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import Day, Json, ProgressOption, lake_of
from ragdiag.console import emit, progress_to, write_text
from ragdiag.records import Traffic
from ragdiag.settings import command_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragdiag.grading.contract import Item
    from ragdiag.grading.judge import Judge, JudgePlan
    from ragdiag.records import Request
    from ragdiag.settings import Workspace
    from ragdiag.store.lake import Lake


UNDER_WAY = 3
"""Exit status where a batch is not done yet."""

Named = Annotated[str, typer.Option("--grader", help="As it was stored; see grade run.")]
Split = Annotated[str | None, typer.Option("--split", help="Its latest evaluation of this.")]
Kind = Annotated[Traffic | None, typer.Option("--traffic", help="Else this (production).")]
About = Annotated[
    Literal["correct", "grounded", "cited"], typer.Option(help="What the labels are about.")
]
StrataOption = Annotated[
    Literal["grade", "topic"], typer.Option(help="By what the grader said, or also by topic.")
]


def run_command(
    context: typer.Context,
    version: str,
    grader: Annotated[str, typer.Option("--grader", help="A name of docs/grading.md.")],
    threshold: Annotated[float | None, typer.Option(help="From which score it is right.")] = None,
    split: Split = None,
    traffic: Kind = None,
    since: Day = None,
    until: Day = None,
    again: Annotated[bool, typer.Option(help="Also what it has decided before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask the judge; else only its price.")] = False,
    batch: Annotated[bool, typer.Option(help="By the judge's batch API, at its own pace.")] = False,
    batch_id: Annotated[
        list[str] | None, typer.Option(help="Fetch this batch, send none. May be repeated.")
    ] = None,
    wait_s: Annotated[float, typer.Option(min=0, help="How long to wait for a batch.")] = 0.0,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Grade a version's answers; the grades stand beside those they have. A judge's price is shown
    first, and nothing is asked without --yes. Exit status 3: batches are under way; run it again.
    """
    from ragdiag.grading.graders import open_grader
    from ragdiag.grading.judge import Judge
    from ragdiag.workflows.grading.grade import grade_requests, items_of, ungraded

    lake, workspace, requests = _scope(context, version, split, traffic, since, until)
    chosen = open_grader(workspace, grader, threshold)
    if isinstance(chosen, Judge):
        items = items_of(lake, ungraded(lake, requests, chosen.name, again=again))
        plan = chosen.plan(items)
        if not yes:
            emit(_plan(chosen, plan), as_json, lambda: _plan_text(chosen, plan))
            return
        if batch or batch_id:
            _await_batches(chosen, items, workspace, batch_id or [], wait_s, as_json)
    with progress_to(progress_file) as progress:
        found = grade_requests(lake, requests, chosen, again=again, progress=progress)
    emit(found.to_json(), as_json, found.to_text)


def calibrate_command(
    context: typer.Context,
    labels: Annotated[Path, typer.Argument(help="JSONL or CSV: request_id or item_id, label.")],
    grader: Annotated[list[str], typer.Option("--grader", help="May be repeated.")],
    about: About = "correct",
    threshold: Annotated[float | None, typer.Option(help="Of the graders that take one.")] = None,
    again: Annotated[
        int, typer.Option(min=0, help="About how many answers judges are asked twice.")
    ] = 30,
    yes: Annotated[bool, typer.Option("--yes", help="Ask judges, too.")] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Measure graders against people's labels, beside plain word overlap; keep what was found.
    Judges are asked about some answers twice: what they take back was chance."""
    from ragdiag.grading.flips import drawn_again
    from ragdiag.grading.graders import open_grader
    from ragdiag.grading.judge import Judge
    from ragdiag.workflows.grading.calibrate import calibrate_graders, labelled_items
    from ragdiag.workflows.grading.human_labels import read_labels

    lake, workspace = lake_of(context), command_workspace(context.obj)
    graders = [open_grader(workspace, name, threshold) for name in grader]
    read = read_labels(labels)
    asking = [one for one in graders if isinstance(one, Judge)]
    if asking and not yes:
        items = labelled_items(lake, read)
        plans = [(one, one.plan(items, drawn_again(one, items, again))) for one in asking]
        document = [_plan(judge, plan) for judge, plan in plans]
        emit(document, as_json, lambda: "\n".join(_plan_text(*one) for one in plans))
        return
    with progress_to(progress_file) as progress:
        found = calibrate_graders(lake, read, graders, about, progress, again=again)
    emit(found.to_json(), as_json, found.to_text)


def sample_command(
    context: typer.Context,
    version: str,
    grader: Named,
    out: Annotated[Path, typer.Option(help="JSONL for people to fill in.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many to label.")] = 60,
    split: Split = None,
    traffic: Kind = None,
    since: Day = None,
    until: Day = None,
    strata: StrataOption = "grade",
    proportional: Annotated[bool, typer.Option(help="Not as many of each stratum.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed draws the same.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw answers for people to label, at random within strata, with known chances."""
    from ragdiag.workflows.grading.corrected_rates import sample_to_label

    lake, _, requests = _scope(context, version, split, traffic, since, until)
    lines = sample_to_label(
        lake, requests, grader, n, strata=strata, proportional=proportional, seed=seed
    )
    write_text(out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    document = {"out": str(out), "n": len(lines), "of": len(requests)}
    emit(document, as_json, lambda: f"{len(lines)} of {len(requests)} answers in {out}")


def rate_command(
    context: typer.Context,
    version: str,
    grader: Named,
    split: Split = None,
    traffic: Kind = None,
    since: Day = None,
    until: Day = None,
    about: About = "correct",
    strata: Annotated[
        Literal["grade", "topic"] | None,
        typer.Option(help="By these alone; else by the finest that have labels."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The rate of right answers that people would find, from many grades and few labels."""
    from ragdiag.workflows.grading.corrected_rates import correct_rate

    lake, _, requests = _scope(context, version, split, traffic, since, until)
    options = {"--split": split, "--traffic": traffic}
    scope = " ".join([version, *(f"{name} {value}" for name, value in options.items() if value)])
    found = correct_rate(lake, requests, grader, about=about, strata=strata, scope=scope)
    emit(found.to_json(), as_json, found.to_text)


def agreement_command(
    context: typer.Context,
    version: Annotated[str | None, typer.Argument(help="Of its answers; else of all.")] = None,
    split: Split = None,
    traffic: Kind = None,
    since: Day = None,
    until: Day = None,
    as_json: Json = False,
) -> None:
    """Cohen's κ of every two reviewers, over the answers that both called correct or wrong."""
    from ragdiag.errors import InputError
    from ragdiag.store.results import find_served_version
    from ragdiag.store.reviews import load_reviews
    from ragdiag.workflows.grading.reviews import load_traffic_reviews, reviewer_agreement

    if version is not None and split is not None:
        lake, _, requests = _scope(context, version, split, traffic, since, until)
        reviews = load_reviews(lake, [request.request_id for request in requests])
    elif version is not None:
        lake = lake_of(context)
        served = find_served_version(lake, version).version_id
        reviews = load_traffic_reviews(lake, served, traffic or "production", *_days(since, until))
    elif split or traffic or since or until:
        raise InputError(
            "--split, --traffic, --since and --until choose answers of one version",
            remedy="name the version, or leave them out: all labels count then",
        )
    else:
        reviews = load_reviews(lake_of(context))
    found = reviewer_agreement(reviews)
    emit(found.to_json(), as_json, found.to_text)


def _scope(
    context: typer.Context,
    version: str,
    split: str | None,
    traffic: Traffic | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[Lake, Workspace, list[Request]]:
    from ragdiag.store.results import find_served_version
    from ragdiag.workflows.diagnosing.diagnose import Scope, requests_in_scope

    lake, workspace = lake_of(context), command_workspace(context.obj)
    chosen, days = find_served_version(lake, version), _days(since, until)
    return lake, workspace, requests_in_scope(lake, chosen, Scope(split, traffic, *days))


def _days(
    since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    return since and since.replace(tzinfo=UTC), until and until.replace(tzinfo=UTC)


def _plan(judge: Judge, plan: JudgePlan) -> dict[str, Any]:
    return {"grader": judge.name, "dry_run": True, **asdict(plan)}


def _plan_text(judge: Judge, plan: JudgePlan) -> str:
    price = (
        "unknown (set prices in [judge])" if plan.cost_usd is None else f"{plan.cost_usd:.2f} US$"
    )
    again = f" ({plan.again} of them once more, to see whether it says the same)" * bool(plan.again)
    return (
        f"{judge.name}: {plan.calls} questions to ask{again}, {plan.kept} answers known; about "
        f"{plan.prompt_tokens:,} prompt tokens and at most {plan.completion_tokens:,} more; "
        f"at most about {price}. Nothing was asked: add --yes"
    )


def _await_batches(
    judge: Judge,
    items: Sequence[Item],
    workspace: Workspace,
    batch_ids: Sequence[str],
    wait_s: float,
    as_json: bool,
) -> None:
    from ragdiag.grading.judge_batch import run_batches

    with progress_to(None) as progress:
        running = run_batches(
            judge,
            items,
            workspace.judge_cache,
            batch_ids=batch_ids,
            wait_s=wait_s,
            progress=progress,
        )
    if running:
        document = {"grader": judge.name, "batch_ids": running, "state": "under_way"}
        told = f"under way: {', '.join(running)}; run the same command again"
        emit(document, as_json, lambda: told)
        raise Exit(UNDER_WAY)
