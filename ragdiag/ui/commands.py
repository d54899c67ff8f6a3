"""Commands that a page offers to copy into a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from ragdiag.store.queries import evaluated, version_names
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View


def diagnose_command(view: View, version_id: str, kind: str) -> str:
    """What diagnoses a version's requests of one traffic.

    An evaluation is named by its split; one whose questions are in no split (an imported table)
    by its traffic.
    """
    name = fetch(view, version_names).get(version_id, version_id)
    if kind == "production":
        scope = ""
    elif kind == "evaluation" and version_id in fetch(view, evaluated):
        scope = " --split SPLIT"
    else:
        scope = f" --traffic {kind}"
    return f"python -m ragdiag diagnose {_quoted(name)}{scope}"


def index_command(action: str, name: str) -> str:
    """``index tune`` or another of them, for the version of this name."""
    return f"python -m ragdiag index {action} {_quoted(name)}"


def tune_command(arguments: Sequence[str]) -> str:
    """``ragdiag tune ARGUMENTS`` for a shell."""
    return f"python -m ragdiag tune {shlex.join(arguments)}"


def influence_command(arguments: Sequence[str]) -> str:
    """``ragdiag influence ARGUMENTS`` for a shell."""
    return f"python -m ragdiag influence {shlex.join(arguments)}"


def canary_command(name: str) -> str:
    return f"python -m ragdiag deploy canary {_quoted(name)} --share 5%"


def _quoted(name: str) -> str:
    """A version's name for the shell: it may come from a foreign log."""
    return f'"{name}"' if re.fullmatch(r"[\w.@:/+ -]+", name) else shlex.quote(name)
