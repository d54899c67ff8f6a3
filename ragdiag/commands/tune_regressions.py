"""``ragdiag tune regressions``: the questions that tuned models are checked on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ragdiag.commands.options import Json, lake_of
from ragdiag.console import emit, table
from ragdiag.errors import InputError

if TYPE_CHECKING:
    from ragdiag.store.lake import Lake
    from ragdiag.store.regressions import Regression


SetName = Annotated[str, typer.Option("--set", metavar="NAME", help="Which set of questions.")]
Reason = Annotated[str, typer.Option(help="Kept with the question.")]


def add_command(
    context: typer.Context,
    question: Annotated[list[str] | None, typer.Argument(help="Ids of judged questions.")] = None,
    request: Annotated[
        list[str] | None, typer.Option(help="The request that went wrong; may be repeated.")
    ] = None,
    mended_by: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Every failure that its evaluation has right."),
    ] = None,
    reason: Reason = "",
    set_name: SetName = "regressions",
    as_json: Json = False,
) -> None:
    """Add questions by id, by the request that went wrong, or all that a version has mended."""
    from ragdiag.metrics.ranking import best_judged
    from ragdiag.store.judgments import load_judgments
    from ragdiag.store.regressions import Regression, add_regressions, mended_failures
    from ragdiag.store.results import find_version

    if not (question or request or mended_by):
        raise InputError(
            "no question is named", remedy="give ids, --request ID or --mended-by VERSION"
        )
    lake = lake_of(context)
    unjudged = 0
    offered = [Regression(one, None, reason) for one in question or ()]
    offered += [_of_request(lake, one, reason) for one in request or ()]
    if mended_by is not None:
        version = find_version(lake, mended_by)
        why = reason or f"mended by {version.name}"
        found = mended_failures(lake, version.version_id)
        judgments = load_judgments(lake)
        judged = [one for one in found if best_judged(judgments.get(one.question_id, {}))]
        unjudged = len(found) - len(judged)
        offered += [Regression(one.question_id, one.from_request, why) for one in judged]
    added = add_regressions(lake, offered, set_name)
    known = len({one.question_id for one in offered}) - len(added)
    left_out = f"; {unjudged} have no passage that answers them" if unjudged else ""
    emit(
        {"set": set_name, "added": added, "known": known, "unjudged": unjudged},
        as_json,
        lambda: f"{len(added)} questions added to {set_name}; {known} were there{left_out}",
    )


def list_command(
    context: typer.Context, set_name: SetName = "regressions", as_json: Json = False
) -> None:
    """The questions of a set, where each comes from, and why it is there."""
    from ragdiag.store.regressions import load_regressions

    found = load_regressions(lake_of(context), set_name)
    rows = [
        {**asdict(one), "added_at": None if one.added_at is None else one.added_at.isoformat()}
        for one in found
    ]
    plain = [{name: value or "" for name, value in row.items()} for row in rows]
    emit(rows, as_json, lambda: table(plain) or f"no questions in {set_name}")


def drop_command(
    context: typer.Context,
    question: str,
    reason: Annotated[str, typer.Option(help="Why releases need not be checked on it.")],
    set_name: SetName = "regressions",
    as_json: Json = False,
) -> None:
    """Check releases on a question no longer; that it was there stays written down."""
    from ragdiag.store.regressions import drop_regression

    drop_regression(lake_of(context), question, reason, set_name)
    emit(
        {"set": set_name, "dropped": question},
        as_json,
        lambda: f"question {question} dropped from {set_name}",
    )


def _of_request(lake: Lake, request_id: str, reason: str) -> Regression:
    from ragdiag.errors import UnknownName
    from ragdiag.store.regressions import Regression
    from ragdiag.store.results import load_requests

    found = load_requests(lake, request_ids=[request_id])
    if not found:
        raise UnknownName(f"there is no request {request_id!r}", remedy="see the page Triage")
    if found[0].question_id is None:
        raise InputError(
            f"request {request_id} asks no judged question",
            remedy="import it with its passages first: ragdiag import gold PATH",
        )
    return Regression(found[0].question_id, request_id, reason)
