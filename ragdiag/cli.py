"""The ``ragdiag`` command. Each command opens the workspace, calls one function and prints.

With ``--json`` stdout is exactly one JSON document; progress goes to stderr. A user's mistake is
one line and exit status 2. Rooms are imported inside the commands: ``--help`` must not pay for
torch. Long because every command is here, and each is only its options and one call.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.exceptions import Abort, Exit, TyperException

from ragdiag.commands.collect import collect_command
from ragdiag.commands.compare import compare_command
from ragdiag.commands.corpus import documents_app, import_app
from ragdiag.commands.deploy import deploy_app
from ragdiag.commands.diagnose import DIAGNOSE, diagnose_app
from ragdiag.commands.evaluate_words import evaluation_text
from ragdiag.commands.gate import gate_command
from ragdiag.commands.grade import grade_app
from ragdiag.commands.index import index_app
from ragdiag.commands.influence import influence_command
from ragdiag.commands.ingest import ingest_command
from ragdiag.commands.log import app as log_app
from ragdiag.commands.model import model_app
from ragdiag.commands.options import (
    Day,
    EvaluatedSplit,
    Json,
    JudgedSplit,
    ProgressOption,
    Roles,
    Tenant,
    TrafficElse,
    Yes,
    lake_of,
)
from ragdiag.commands.plan import plan_command
from ragdiag.commands.prescribe import prescribe_command
from ragdiag.commands.privacy import privacy_app
from ragdiag.commands.report import report_app
from ragdiag.commands.serve import serve_command
from ragdiag.commands.store import store_app
from ragdiag.commands.train_reranker import train_reranker_command as train_reranker_command
from ragdiag.commands.tune import tune_app
from ragdiag.commands.tune_answers import export_answers_command as export_answers_command
from ragdiag.commands.tune_average import tune_average_command as tune_average_command
from ragdiag.commands.tune_retriever import tune_retriever_command as tune_retriever_command
from ragdiag.commands.tuning import fusion_app, reranker_app
from ragdiag.console import emit, fail, progress_to, table
from ragdiag.errors import RagdiagError
from ragdiag.settings import command_workspace, demo_workspace

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Why was a RAG answer wrong, who mends it, and is version B better than A?",
)
version_app = typer.Typer(help="Name configurations.")
app.add_typer(import_app, name="import")
app.add_typer(version_app, name="version")
app.add_typer(index_app, name="index")
app.add_typer(documents_app, name="documents")
app.add_typer(log_app)
app.add_typer(privacy_app, name="privacy")
app.add_typer(store_app, name="store")
app.add_typer(model_app, name="model")
app.add_typer(fusion_app, name="fusion")
app.add_typer(reranker_app, name="reranker")
app.add_typer(tune_app, name="tune")
app.add_typer(deploy_app, name="deploy")
app.add_typer(grade_app, name="grade")
app.add_typer(diagnose_app, name="diagnose")
app.add_typer(report_app, name="report")
app.command("collect")(collect_command)
app.command("serve")(serve_command)
app.command("compare")(compare_command)
app.command("gate")(gate_command)
app.command("influence")(influence_command)
app.command("ingest")(ingest_command)
app.command("plan")(plan_command)
app.command("prescribe")(prescribe_command)


@app.callback()
def choose_workspace(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(help="Default: $RAGDIAG_WORKSPACE, else data/workspace."),
    ] = None,
) -> None:
    context.obj = workspace


@app.command()
def demo(
    context: typer.Context,
    size: Annotated[Literal["small", "full"], typer.Option()] = "full",
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Build the demo workspace (data/demo, or the workspace given); resumes where it stopped."""
    from ragdiag.demo.build import build_demo

    workspace = demo_workspace() if context.obj is None else command_workspace(context.obj)
    with progress_to(progress_file) as progress:
        built = build_demo(workspace, size, progress)
    emit(
        built.to_json(),
        as_json,
        lambda: f"demo built in {workspace.root}; run: streamlit run app.py",
    )


@version_app.command("add")
def version_add(
    context: typer.Context,
    name: str,
    spec: Annotated[Path, typer.Option(help="A TOML file; README.md shows one.")],
    as_json: Json = False,
) -> None:
    """Name a configuration; its id is the hash of its spec."""
    from ragdiag.store.results import save_version
    from ragdiag.version import Version, read_spec

    version = Version(name, read_spec(spec).portable(command_workspace(context.obj).root))
    save_version(lake_of(context, create=True), version)
    document = {"name": name, "version_id": version.version_id}
    emit(document, as_json, lambda: f"version {name} is {version.version_id}")


@version_app.command("list")
def version_list(context: typer.Context, as_json: Json = False) -> None:
    """The versions of this workspace and what each is made of."""
    from ragdiag.retrieval.serving import serving_build_id
    from ragdiag.store.results import list_versions

    lake, workspace = lake_of(context), command_workspace(context.obj)
    rows = []
    for version in list_versions(lake):
        rows.append(
            {
                "name": version.name,
                "version_id": version.version_id,
                "build_id": serving_build_id(lake, workspace, version.spec.index_key),
                "spec": version.spec.as_written.model_dump(mode="json"),
            }
        )
    plain = [{name: row[name] for name in ("name", "version_id", "build_id")} for row in rows]
    emit(rows, as_json, lambda: table(plain) or "no versions; run: ragdiag version add")


@app.command()
def ask(
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


@app.command()
def evaluate(
    context: typer.Context,
    version: str,
    split: JudgedSplit,
    run_out: Annotated[Path | None, typer.Option(help="Also write a TREC run file.")] = None,
    tenant: Tenant = None,
    role: Roles = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Ask every question of a split, log it, and report metrics with 95 % intervals."""
    from ragdiag.importers.trec import write_run
    from ragdiag.retrieval.filters import PassageFilter
    from ragdiag.store.results import find_version
    from ragdiag.workflows.comparing.evaluate import evaluate as evaluate_version

    lake = lake_of(context)
    with progress_to(progress_file) as progress:
        found = evaluate_version(
            lake,
            command_workspace(context.obj),
            find_version(lake, version),
            split,
            progress,
            only=PassageFilter(tenant, frozenset(role or ())),
        )
    if run_out is not None:
        write_run(run_out, {r.question_id or "": r.ranking for r in found.requests}, version)
    emit(found.to_json(), as_json, lambda: evaluation_text(found))


@app.command()
def score(
    qrels: Annotated[Path, typer.Option(help="TREC judgments.")],
    run: Annotated[Path, typer.Option(help="TREC run.")],
    metric: Annotated[list[str] | None, typer.Option("-m", help="As trec_eval -m.")] = None,
    per_query: Annotated[bool, typer.Option("--per-query", "-q")] = False,
    complete: Annotated[
        bool, typer.Option("-c", help="Count judged queries without results as 0.")
    ] = False,
    relevance_level: Annotated[int, typer.Option("-l", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Score any TREC run: the numbers of trec_eval, by its own metric names."""
    from ragdiag.importers.trec import read_qrels, read_run, read_run_id
    from ragdiag.metrics.trec import format_trec, score_run, summary_scores
    from ragdiag.metrics.trec_files import summarise_files

    asked = metric or ["official"]
    known = None if per_query else summarise_files(qrels, run, asked, relevance_level, complete)
    scores = (
        summary_scores(known, asked)
        if known is not None
        else score_run(
            read_qrels(qrels),
            read_run(run),
            asked,
            relevance_level=relevance_level,
            complete=complete,
            run_id=read_run_id(run),
        )
    )
    document: dict[str, Any] = {"metrics": scores.summary}
    if per_query:
        document["per_query"] = scores.per_query
    emit(document, as_json, lambda: format_trec(scores, per_query).rstrip("\n"))


@diagnose_app.command(DIAGNOSE)
def diagnose(
    context: typer.Context,
    version: str,
    split: EvaluatedSplit = None,
    traffic: TrafficElse = None,
    since: Day = None,
    until: Day = None,
    again: Annotated[bool, typer.Option(help="Diagnose what has a verdict already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would ask.")] = False,
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


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check this machine and this workspace; each finding comes with its remedy."""
    from ragdiag.workflows.doctor import examine

    findings = examine(command_workspace(context.obj))
    rows = [{"check": f.what, "state": f.status, "remedy": f.remedy} for f in findings]
    emit(rows, as_json, lambda: table(rows))
    if any(finding.status == "bad" for finding in findings):
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status. A defect keeps its traceback."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        status = app(args=given or ["--help"], prog_name="ragdiag", standalone_mode=False)
    except RagdiagError as error:
        return fail(str(error))
    except Exit as done:
        status = done.exit_code
    except TyperException as error:
        return fail(f"{error.format_message().rstrip('.')}; see: ragdiag --help")
    except (KeyboardInterrupt, Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:  # what Typer makes of Ctrl-C, too
        fail("interrupted; run the same command again to go on")
    return status if isinstance(status, int) else 0
