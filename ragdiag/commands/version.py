"""``ragdiag version``: configurations, by name. See docs/versions.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragdiag.commands.options import Json, lake_of
from ragdiag.console import emit, table
from ragdiag.settings import command_workspace


def add_command(
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


def list_command(context: typer.Context, as_json: Json = False) -> None:
    """The versions of this workspace and what each is made of."""
    from ragdiag.errors import IndexFault
    from ragdiag.retrieval.serving import serving_build_id
    from ragdiag.store.results import list_versions

    lake, workspace = lake_of(context), command_workspace(context.obj)
    rows = []
    for version in list_versions(lake):
        try:
            serving = serving_build_id(lake, workspace, version.spec.index_key)
        except IndexFault:
            serving = "unreadable"
        rows.append(
            {
                "name": version.name,
                "version_id": version.version_id,
                "build_id": serving,
                "spec": version.spec.as_written.model_dump(mode="json"),
            }
        )
    plain = [{name: row[name] for name in ("name", "version_id", "build_id")} for row in rows]
    emit(rows, as_json, lambda: table(plain) or "no versions; run: ragdiag version add")
