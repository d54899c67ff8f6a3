"""``ragdiag diagnose``: why requests failed, and what the verdicts on them are worth."""

from __future__ import annotations

import json
import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from ragdiag.commands.options import (
    Day,
    EvaluatedSplit,
    Json,
    ProgressOption,
    TrafficElse,
    Yes,
    lake_of,
    opened,
)
from ragdiag.console import emit, progress_to, table
from ragdiag.settings import command_workspace

if TYPE_CHECKING:
    from ragdiag.diagnosis.trust import TierTrust
    from ragdiag.records import Estimate, Tier
    from ragdiag.workflows.diagnosing.blind_labels import BlindAgreement
    from ragdiag.workflows.diagnosing.validate import Validation

DIAGNOSE = "version"
SHOWN_REJECTS = 5

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would ask.")]


class VersionFirst(TyperGroup):
    """``diagnose VERSION`` is ``diagnose version VERSION``: scripts rely on the short form. A
    version that is named as a command is named in the long form."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [DIAGNOSE, *args]
        return super().parse_args(ctx, args)


def diagnose_command(
    context: typer.Context,
    version: str,
    split: EvaluatedSplit = None,
    traffic: TrafficElse = None,
    since: Day = None,
    until: Day = None,
    again: Annotated[bool, typer.Option(help="Diagnose what has a verdict already.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Ask at most so often.")] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Spend at most so many US$.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Under way at once.")
    ] = None,
    gold_accuracy: Annotated[
        float | None, typer.Option(min=0, max=1, help="Right on gold context, for bounds.")
    ] = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Say for each failed request where the gold was lost and whether giving it back mends it. Of a
    generator with prices the cost is shown first, and nothing is asked without --yes."""
    from ragdiag.store.results import find_served_version
    from ragdiag.workflows.diagnosing.diagnose import Scope, open_diagnosis
    from ragdiag.workflows.diagnosing.replays import Limits

    lake = lake_of(context)
    first, last = (day and day.replace(tzinfo=UTC) for day in (since, until))
    run = open_diagnosis(
        lake,
        command_workspace(context.obj),
        find_served_version(lake, version),
        Scope(split, traffic, first, last, again),
        Limits(max_calls, max_cost, concurrency),
    )
    if dry_run or (run.is_priced and not yes):
        plan = run.plan()
        if dry_run or plan.most_calls:
            note = "" if dry_run else ". Nothing was asked: add --yes"
            emit(plan.to_json(), as_json, lambda: plan.to_text() + note)
            return
    with progress_to(progress_file) as progress:
        found = run.diagnose(progress, gold_accuracy)
    emit(found.to_json(), as_json, found.to_text)


def validate_command(
    context: typer.Context,
    version: str,
    split: Annotated[str, typer.Option("--split", help="Whose successes are broken.")],
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Failures of each fault.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed breaks the same requests.")] = 0,
    generator_of: Annotated[
        str | None, typer.Option(help="A version whose generator answers instead.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Break what works in known ways, diagnose it at every tier, and count the right verdicts. Of a
    generator with prices the cost is shown first, and nothing is asked without --yes."""
    from ragdiag.store.results import find_version
    from ragdiag.workflows.diagnosing.validate import expectations, validate
    from ragdiag.workflows.diagnosing.validation_price import plan_validation

    lake, workspace, tried = opened(context, version)
    other = None if generator_of is None else find_version(lake, generator_of)
    plan = plan_validation(lake, workspace, tried, split, n, other)
    print(table(expectations()), file=sys.stderr, flush=True)
    if dry_run or (plan.is_priced and not yes):
        note = "" if dry_run else ". Nothing was asked: add --yes"
        emit(plan.to_json(), as_json, lambda: plan.to_text() + note)
        return
    with progress_to(progress_file) as progress:
        found = validate(
            lake,
            workspace,
            tried,
            split,
            n=n,
            seed=seed,
            generator_of=other,
            progress=progress,
        )
    emit(found.to_json(), as_json, lambda: _told(found))


def sufficiency_command(
    context: typer.Context,
    version: str,
    split: EvaluatedSplit = None,
    traffic: TrafficElse = None,
    seed: Annotated[int, typer.Option(help="Draws the folds.")] = 0,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Learn from diagnosed requests to tell whether a context suffices where no gold is known."""
    from ragdiag.store.results import find_served_version
    from ragdiag.workflows.diagnosing.sufficiency import calibrate_sufficiency

    lake, workspace = lake_of(context), command_workspace(context.obj)
    with progress_to(progress_file) as progress:
        found = calibrate_sufficiency(
            lake,
            workspace,
            find_served_version(lake, version),
            split=split,
            traffic=traffic,
            seed=seed,
            progress=progress,
        )
    emit(found.to_json(), as_json, found.to_text)


def sample_command(
    context: typer.Context,
    version: str,
    split: EvaluatedSplit = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Failures at most.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed draws the same failures.")] = 0,
) -> None:
    """Draw failures for a person to say who is to blame, one line of JSON each, without what
    ragdiag makes of them. Write a verdict into "label", then: ragdiag diagnose agree FILE."""
    from ragdiag.store.results import find_served_version
    from ragdiag.workflows.diagnosing.blind_labels import draw_failures

    lake, workspace = lake_of(context), command_workspace(context.obj)
    found = find_served_version(lake, version)
    for line in draw_failures(lake, workspace, found, split, n=n, seed=seed):
        print(json.dumps(line, ensure_ascii=False))


def agree_command(context: typer.Context, labels: Path, as_json: Json = False) -> None:
    """Compare the verdicts with what a person wrote into the file of `diagnose sample`."""
    from ragdiag.workflows.diagnosing.blind_labels import compare_blame

    found = compare_blame(lake_of(context), labels)
    emit(found.to_json(), as_json, lambda: _compared(found))


def _compared(found: BlindAgreement) -> str:
    from ragdiag.workflows.diagnosing.blind_labels import blame_rows

    lines = [
        f"{found.labels} labels, {found.undecided} of them undecided; {len(found.missing)} have no "
        f"diagnosis that is up to date; {len(found.rejects)} lines were rejected"
    ]
    lines += [f"  line {one.line}: {one.reason}" for one in found.rejects[:SHOWN_REJECTS]]
    for tier, one in found.tiers.items():
        lines += ["", _worth(tier, one), table(blame_rows(one.matrix))]
    return "\n".join(lines)


def _told(found: Validation) -> str:
    """A matrix for each tier, below what its verdicts were worth."""
    from ragdiag.workflows.diagnosing.validate import matrix_rows, shortfalls

    lines = [
        f"{sum(found.failed.values())} known failures from {found.successes} successes, "
        f"answered by {found.generator}",
        *shortfalls(found.to_json()),
    ]
    for tier, one in found.tiers.items():
        lines += ["", _worth(tier, one), table(matrix_rows(one.matrix))]
    return "\n".join(lines)


def _worth(tier: Tier, found: TierTrust) -> str:
    return (
        f"tier {tier}: right in {_percent(found.part.right)}, when decided "
        f"{_percent(found.part.right_when_decided)}, abstained in {_percent(found.part.abstained)};"
        f" retriever or generator right in {_percent(found.side.right)}, when decided "
        f"{_percent(found.side.right_when_decided)}"
    )


def _percent(found: Estimate) -> str:
    if found.value != found.value:
        return f"– ({found.reason})"
    return f"{found.value:.0%} ({found.low:.0%}–{found.high:.0%}, n = {found.n})"
