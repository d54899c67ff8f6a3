"""``ragdiag import`` and ``ragdiag documents``; what serves is looked after when they are done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import Json, ProgressOption, lake_of
from ragdiag.console import emit, progress_to
from ragdiag.errors import InputError, UnknownName
from ragdiag.progress import Progress, part
from ragdiag.settings import command_workspace

if TYPE_CHECKING:
    from ragdiag.importers.report import ImportReport
    from ragdiag.workflows.indexing.corpus_change import ServedIndex


NAMED = 20
"""Unknown ids that a message names."""

Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Then build, check and publish what was serving.")
]


def import_beir_command(
    context: typer.Context,
    directory: Path,
    rebuild: Rebuild = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Load a BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv, optional answers.jsonl."""
    from ragdiag.importers.beir import import_beir

    lake = lake_of(context, create=True)
    with progress_to(progress_file) as progress:
        loaded = import_beir(lake, directory, part(progress, 0.0, 0.5 if rebuild else 0.95))
        states = _indexes_after(context, loaded.changed, "import beir", rebuild, progress)
    _emit_import(loaded, states, as_json, rebuild)


def import_corpus_command(
    context: typer.Context,
    path: Path,
    max_tokens: Annotated[int, typer.Option(min=16, max=8192, help="Size of a passage.")] = 200,
    model: Annotated[str, typer.Option(help="Whose tokens are counted.")] = "all-MiniLM-L6-v2",
    rebuild: Rebuild = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Load documents from a JSONL file or a folder of .txt, .md and .html; they are chunked."""
    from ragdiag.importers.corpus import import_corpus

    lake = lake_of(context, create=True)
    with progress_to(progress_file) as progress:
        stretch = part(progress, 0.0, 0.5 if rebuild else 0.95)
        loaded = import_corpus(lake, path, max_tokens=max_tokens, model=model, progress=stretch)
        states = _indexes_after(context, loaded.changed, "import corpus", rebuild, progress)
    _emit_import(loaded, states, as_json, rebuild)


def import_gold_command(context: typer.Context, path: Path, as_json: Json = False) -> None:
    """Load questions with their gold answers and passages from a JSONL file."""
    from ragdiag.importers.gold import import_gold

    loaded = import_gold(lake_of(context), path)
    emit(loaded.to_json(), as_json, lambda: _import_text(loaded.to_json()))
    _require_something(loaded)


def _indexes_after(
    context: typer.Context, changed: int, by: str, rebuild: bool, progress: Progress
) -> list[ServedIndex]:
    """What serves, looked after where the corpus has changed; ``progress`` ends with it."""
    from ragdiag.workflows.indexing.corpus_change import look_after_indexes

    states = []
    if changed or rebuild:
        stretch = part(progress, 0.5, 1.0) if rebuild else None
        lake, workspace = lake_of(context), command_workspace(context.obj)
        states = look_after_indexes(lake, workspace, by=by, rebuild=rebuild, progress=stretch)
    progress(1.0, "imported")
    return states


def _emit_import(
    loaded: ImportReport, states: list[ServedIndex], as_json: bool, rebuild: bool
) -> None:
    counts = loaded.to_json()
    text = "\n".join([_import_text(counts), *(note for state in states for note in state.notes)])
    emit({**counts, "indexes": [one.to_json() for one in states]}, as_json, lambda: text)
    _require_something(loaded)
    if rebuild and any(state.status == "bad" for state in states):
        raise Exit(1)


def _require_something(loaded: ImportReport) -> None:
    """Raises InputError where every line was rejected: a script must not take that for done."""
    if loaded.rejects and not loaded.found:
        first = loaded.rejects[0]
        raise InputError(
            f"nothing was loaded: all that {first.source} holds was rejected ({first.reason})",
            remedy="give one JSON object a line, as README.md shows it (Your own data)",
        )


def _import_text(loaded: dict[str, Any]) -> str:
    rejects = loaded["rejects"]
    told = ("rejects", "unread_fields")
    counts = ", ".join(f"{name} {value}" for name, value in loaded.items() if name not in told)
    unread = (
        f"not read: field {name!r} ({n} lines)" for name, n in loaded["unread_fields"].items()
    )
    lines = [
        counts,
        *unread,
        *(f"rejected {r['source']}:{r['line']}: {r['reason']}" for r in rejects[:20]),
    ]
    if len(rejects) > 20:
        lines.append(f"… and {len(rejects) - 20} more rejects; see: ragdiag store rejects")
    return "\n".join(lines)


def remove_documents_command(
    context: typer.Context, document_ids: list[str], as_json: Json = False
) -> None:
    """Take documents out of the corpus; no version that is opened from now on finds them. One that
    was removed before is no mistake; ids that the corpus never held are named."""
    from ragdiag.store.corpus import remove_documents, unknown_documents
    from ragdiag.workflows.indexing.corpus_change import look_after_indexes

    lake, workspace = lake_of(context), command_workspace(context.obj)
    unknown = unknown_documents(lake, document_ids)
    if len(unknown) == len(set(document_ids)):
        raise UnknownName(
            _unknown_words(unknown),
            remedy="nothing was removed; give the document's id as it was imported, not that of a "
            "passage",
        )
    removed = remove_documents(lake, document_ids)
    states = look_after_indexes(lake, workspace, by="documents remove") if removed else []
    lines = [
        f"{removed} passages removed",
        *([f"WARNING: {_unknown_words(unknown)}"] if unknown else []),
        *(note for state in states for note in state.notes),
    ]
    document = {
        "passages_removed": removed,
        "unknown": unknown,
        "indexes": [one.to_json() for one in states],
    }
    emit(document, as_json, lambda: "\n".join(lines))


def _unknown_words(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:NAMED]))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"the corpus never held the document{'s' * (len(names) > 1)} {shown}{more}"
