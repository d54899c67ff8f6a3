"""Commands that a page offers to copy into a shell."""

from __future__ import annotations

import re
import shlex

from ragdiag.store.queries import evaluated, version_names
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View


def diagnose_command(view: View, version_id: str, kind: str) -> str:
    """What diagnoses a version's requests of one traffic.

    An evaluation is named by its split; one whose questions are in no split (an imported table)
    by its traffic. A version's name may come from a foreign log, so it is quoted for the shell.
    """
    name = fetch(view, version_names).get(version_id, version_id)
    quoted = f'"{name}"' if re.fullmatch(r"[\w.@:/+ -]+", name) else shlex.quote(name)
    if kind == "production":
        scope = ""
    elif kind == "evaluation" and version_id in fetch(view, evaluated):
        scope = " --split SPLIT"
    else:
        scope = f" --traffic {kind}"
    return f"python -m ragdiag diagnose {quoted}{scope}"
