"""The ``version`` commands: what is listed while something is damaged."""

from __future__ import annotations

import json

import pytest

from ragdiag.cli import main
from ragdiag.retrieval.serving import pointer_path
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from tests.stocked import LEXICAL, Build


def test_a_history_that_cannot_be_read_is_said_in_its_row_alone(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    build: Build,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = Version("other", parse_spec(LEXICAL.replace("]", "]\nk1 = 1.2", 1), source="toy"))
    save_version(corpus, other)
    serving = build(of=other).build_id
    pointer = pointer_path(workspace, version.spec.index_key)
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.write_text("{")
    assert main(["--workspace", str(workspace.root), "version", "list", "--json"]) == 0
    rows = {row["name"]: row["build_id"] for row in json.loads(capsys.readouterr().out)}
    assert rows == {"lexical": "unreadable", "other": serving}
