"""The ``ragdiag`` command: which command is where, and how one ends.

Each command opens the workspace, calls one function and prints. With ``--json`` stdout is exactly
one JSON document; progress goes to stderr. A user's mistake is one line and exit status 2. Rooms
are imported inside the commands: ``--help`` must not pay for torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.exceptions import Abort, Exit, TyperException

from ragdiag.commands import (
    ask,
    collect,
    compare,
    corpus,
    demo,
    deploy,
    deploy_watch,
    diagnose,
    doctor,
    evaluate,
    gate,
    grade,
    index,
    index_tune,
    influence,
    ingest,
    log,
    logs,
    model,
    plan,
    prescribe,
    privacy,
    prune,
    report,
    score,
    serve,
    store,
    store_backup,
    tune,
    tune_answers,
    tune_average,
    tune_late,
    tune_regressions,
    tune_reranker,
    tune_retriever,
    version,
    weighing,
)
from ragdiag.console import fail
from ragdiag.errors import RagdiagError

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

Entries = Mapping[str, Callable[..., None] | typer.Typer]
"""Commands and groups by name, in the order in which ``--help`` lists them."""


def choose_workspace(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(help="Default: $RAGDIAG_WORKSPACE, else data/workspace."),
    ] = None,
) -> None:
    context.obj = workspace


def _group(
    help: str,
    entries: Entries,
    *,
    cls: type[TyperGroup] = TyperGroup,
    no_args_is_help: bool = False,
) -> typer.Typer:
    group = typer.Typer(help=help, cls=cls, no_args_is_help=no_args_is_help)
    _mount(group, entries)
    return group


def _mount(group: typer.Typer, entries: Entries) -> None:
    for name, entry in entries.items():
        if isinstance(entry, typer.Typer):
            group.add_typer(entry, name=name)
        else:  # in a nameless group: Typer would list all commands before all groups
            alone = typer.Typer()
            alone.command(name)(entry)
            group.add_typer(alone)


COMMANDS: Entries = {
    "collect": collect.collect_command,
    "serve": serve.serve_command,
    "compare": compare.compare_command,
    "gate": gate.gate_command,
    "influence": influence.influence_command,
    "ingest": ingest.ingest_command,
    "plan": plan.plan_command,
    "prescribe": prescribe.prescribe_command,
    "demo": demo.demo_command,
    "ask": ask.ask_command,
    "evaluate": evaluate.evaluate_command,
    "score": score.score_command,
    "doctor": doctor.doctor_command,
    "import": _group(
        "Load a corpus, questions and judgments.",
        {
            "logs": logs.import_logs_command,
            "beir": corpus.import_beir_command,
            "corpus": corpus.import_corpus_command,
            "gold": corpus.import_gold_command,
        },
    ),
    "version": _group(
        "Name configurations.",
        {"add": version.add_command, "list": version.list_command},
    ),
    "index": _group(
        "Build, check, publish and roll back indexes.",
        {
            "tune": index_tune.tune_index_command,
            "prune": prune.prune_command,
            "measure": index_tune.measure_index_command,
            "build": index.build,
            "check": index.check,
            "publish": index.publish,
            "rollback": index.rollback,
            "list": index.list_command,
            "diagnose": index.diagnose,
        },
    ),
    "documents": _group("Change the corpus.", {"remove": corpus.remove_documents_command}),
    "log": log.log_command,
    "privacy": _group(
        "Keys for encryption, and users who want to be forgotten.",
        {
            "new-key": privacy.new_key_command,
            "reencrypt": privacy.reencrypt,
            "forget-user": privacy.forget_user_command,
            "forget-again": privacy.forget_again_command,
        },
    ),
    "store": _group(
        "Check, compact, expire, back up and restore the query log.",
        {
            "backup": store_backup.backup_command,
            "restore": store_backup.restore_command,
            "replay": store_backup.replay_command,
            "check": store.check,
            "compact": store.compact,
            "expire": store.expire,
            "recount": store.recount,
            "rejects": store.rejects,
            "snapshots": store.snapshots,
            "name": store.name,
            "unname": store.unname,
        },
    ),
    "model": _group("Encoders as files.", {"export": model.export_command}),
    "lexical": _group("How BM25 counts words.", {"tune": weighing.tune_lexical_command}),
    "fusion": _group(
        "How the lexical and the dense path are weighed.", {"tune": weighing.tune_fusion_command}
    ),
    "reranker": _group(
        "How a reranker's scores are read, and how much they say.",
        {
            "calibrate": weighing.calibrate_reranker_command,
            "tune": weighing.weigh_reranker_command,
        },
    ),
    "tune": _group(
        "Fine-tuning: runs, and the questions that they are checked on.",
        {
            "retriever": tune_retriever.tune_retriever_command,
            "reranker": tune_reranker.tune_reranker_command,
            "late-interaction": tune_late.tune_late_command,
            "reader": tune_answers.tune_reader_command,
            "generator": tune_answers.tune_generator_command,
            "average": tune_average.tune_average_command,
            "list": tune.list_command,
            "show": tune.show_command,
            "cancel": tune.cancel_command,
            "regressions": _group(
                "Questions that were mended and must stay so.",
                {
                    "add": tune_regressions.add_command,
                    "list": tune_regressions.list_command,
                    "drop": tune_regressions.drop_command,
                },
            ),
            "export": tune_answers.export_answers_command,
        },
    ),
    "deploy": _group(
        "Which version serves; canaries and shadows of another one.",
        {
            "watch": deploy_watch.watch_command,
            "set": deploy.set_command,
            "canary": deploy.canary,
            "shadow": deploy.shadow,
            "status": deploy.status,
            "decide": deploy.decide,
            "promote": deploy.promote,
            "rollback": deploy.rollback,
        },
    ),
    "grade": _group(
        "Grade answers, and measure the graders. docs/grading.md.",
        {
            "run": grade.run_command,
            "calibrate": grade.calibrate_command,
            "sample": grade.sample_command,
            "rate": grade.rate_command,
            "agreement": grade.agreement_command,
        },
    ),
    "diagnose": _group(
        "Say why requests failed (diagnose VERSION), and how far to trust it. docs/diagnosis.md.",
        {
            "validate": diagnose.validate_command,
            "sufficiency": diagnose.sufficiency_command,
            "sample": diagnose.sample_command,
            "agree": diagnose.agree_command,
            diagnose.DIAGNOSE: diagnose.diagnose_command,
        },
        cls=diagnose.VersionFirst,
        no_args_is_help=True,
    ),
    "report": _group(
        "Report on the query log, as it is or as it was. docs/store.md.",
        {
            "weekly": report.weekly,
            "evaluation": report.evaluation,
            "diagnosis": report.diagnosis,
        },
        no_args_is_help=True,
    ),
}

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    callback=choose_workspace,
    help="Why was a RAG answer wrong, who mends it, and is version B better than A?",
)
_mount(app, COMMANDS)


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
        context = getattr(error, "ctx", None)
        asked = context.command_path if context else "ragdiag"
        return fail(f"{error.format_message().rstrip('.')}; see: {asked} --help")
    except (KeyboardInterrupt, Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:  # what Typer makes of Ctrl-C, too
        fail("interrupted; run the same command again to go on")
    return status if isinstance(status, int) else 0
