"""Runbooks and the guide are correct against the commands: every line of them can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.exceptions import TyperException

from ragdiag.cli import app
from ragdiag.deploy.notices import REBUILD_FAILED, RUNBOOKS
from ragdiag.errors import UnknownName
from ragdiag.runbooks import read_runbook, runbook_names, runbook_path
from ragdiag.settings import PROJECT

SECTIONS = ["Symptoms", "Confirm", "Mend", "Verify", "Escalate"]
TEXTS = [*(PROJECT / "data" / "runbooks").glob("*.md"), PROJECT / "docs" / "indexes.md"]


def command_lines(text: str) -> list[str]:
    """``ragdiag …`` in shell blocks and between backticks."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.partition("  #")[0] for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line for line in lines if line.removeprefix("python -m ").startswith("ragdiag ")]


def parse(line: str) -> None:
    """Raises where there is no such command, option or argument."""
    words = shlex.split(line)
    words = words[words.index("ragdiag") + 1 :]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_every_command_line_can_be_typed(path: Path) -> None:
    lines = command_lines(path.read_text(encoding="utf-8"))
    assert len(lines) >= 5
    for line in lines:
        parse(line)


@pytest.mark.parametrize(
    "line", ["ragdiag index mend v", "ragdiag index check", "ragdiag index check v --bild b"]
)
def test_a_command_line_that_is_wrong_is_found(line: str) -> None:
    with pytest.raises((KeyError, TyperException)):
        parse(line)


@pytest.mark.parametrize("name", runbook_names())
def test_a_runbook_says_how_to_confirm_mend_verify_and_when_to_escalate(name: str) -> None:
    text = read_runbook(name)
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == SECTIONS
    assert len(text.splitlines()) <= 80
    for linked in re.findall(r"\]\(([^)]+)\)", text):
        assert (PROJECT / runbook_path(name)).with_name(linked).is_file()


def test_every_alert_about_an_index_names_a_runbook_that_tells_of_it() -> None:
    for finding, (runbook, _) in RUNBOOKS.items():
        assert f"`index_{finding}`" in read_runbook(runbook)
    assert f"`{REBUILD_FAILED}`" in read_runbook("index_rebuild")
    with pytest.raises(UnknownName, match="corruption, index_rebuild"):
        read_runbook("gone")
