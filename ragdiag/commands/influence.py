"""``ragdiag influence``: which passage moved the answer of one request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption, lake_of
from ragdiag.console import emit, progress_to, show_estimate, table
from ragdiag.errors import InputError
from ragdiag.records import Estimate


def influence_command(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(metavar="REQUEST")],
    method: Annotated[
        Literal["leave-one-out", "ablation"],
        typer.Option(help="ablation: only for a generator of kind transformers."),
    ] = "leave-one-out",
    k: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Leave out only the first K passages (all); ablation: fall without the K "
            "strongest (3).",
        ),
    ] = None,
    by: Annotated[
        Literal["passage", "sentence"], typer.Option(help="What ablation removes.")
    ] = "passage",
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask a server that may cost; else only its price.")
    ] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Say which passages carried or misled the answer, and hold its citations against that.

    Answers are asked for again without one passage at a time; or the answer's probability is
    followed under random parts of the context. What was tried is kept and not tried again.
    """
    from ragdiag.workflows.diagnosing import influence as work

    if by == "sentence" and method != "ablation":
        raise InputError(
            "--by sentence needs --method ablation", remedy="add it, or leave out --by"
        )
    lake = lake_of(context)
    subject = work.open_subject(lake, request_id)
    if method == "leave-one-out" and subject.generator.kind == "openai" and not yes:
        planned = work.plan(lake, subject, k)
        emit(planned, as_json, lambda: _plan_text(planned))
        return
    with progress_to(progress_file) as progress:
        if method == "ablation":
            found = work.weigh_by_ablation(lake, subject, k=k or 3, by=by, progress=progress)
        else:
            found = work.weigh_by_leaving_out(lake, subject, k=k, progress=progress)
    document = {**found, "words": work.sentences(found)}
    emit(document, as_json, lambda: _text(document))


def _plan_text(planned: dict[str, Any]) -> str:
    fewest, most = planned["answers"]
    price = planned["cost_usd"]
    cost = f", {price[0]:.4f} to {price[1]:.4f} US$" if price else ", at a price that is not known"
    return f"{fewest} to {most} answers{cost}; run it with --yes"


def _text(found: dict[str, Any]) -> str:
    rows = [
        {
            "rank": row["rank"],
            "part": row["part_id"],
            "influence": _influence(found, Estimate.from_json(row["influence"])),
            "role": row["role"],
            "cited": "cited" if row["cited"] else "",
        }
        for row in found["parts"]
    ]
    return "\n".join([*found["words"], table(rows)]).rstrip()


def _influence(found: dict[str, Any], influence: Estimate) -> str:
    from ragdiag.diagnosis.influence_words import EXACT

    if found.get("deterministic") and influence.reason is None:
        return f"{influence.value:.3f} ({EXACT})"
    return show_estimate(influence)
