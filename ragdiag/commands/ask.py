"""``ragdiag ask``: one question, or one a line."""

from __future__ import annotations

import json
import sys

import typer

from ragdiag.commands.options import Json, Roles, Tenant, lake_of
from ragdiag.console import emit, fail
from ragdiag.settings import command_workspace


def ask_command(
    context: typer.Context,
    version: str,
    question: str,
    tenant: Tenant = None,
    role: Roles = None,
    as_json: Json = False,
) -> None:
    """Answer one question with every stage shown; the request is logged, whatever became of it.

    With - for the question: each line of stdin is one, each line of stdout the request as the
    spool has it, and nothing is logged.
    """
    from ragdiag.retrieval.filters import PassageFilter
    from ragdiag.store.kinds import record_to_json
    from ragdiag.workflows.logs.ask import answer_each, ask_version

    lake, workspace = lake_of(context), command_workspace(context.obj)
    only = PassageFilter(tenant, frozenset(role or ()))
    if question == "-":
        for request in answer_each(lake, workspace, version, sys.stdin, only):
            print(json.dumps(record_to_json(request)), flush=True)
        return
    asked = ask_version(lake, workspace, version, question, only)
    emit(asked.to_json(), as_json, asked.to_text)
    if asked.request.status == "error":
        raise typer.Exit(fail(asked.request.error or "the generator failed"))
