"""Loading of what services have logged, in the background of the dashboard's process."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import streamlit as st

from ragdiag.errors import RagdiagError
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.workflows.ingest import load_waiting

EVERY_S = 3.0
_log = logging.getLogger(__name__)


@st.cache_resource(show_spinner=False)
def keep_ingesting(root: str) -> threading.Thread:
    """Start, once per process and workspace, a daemon thread that ingests its spool."""
    thread = threading.Thread(
        target=_run, args=(Workspace(Path(root)),), name=f"ingest {root}", daemon=True
    )
    thread.start()
    return thread


def ingest_once(workspace: Workspace) -> int:
    """Load what waits in the spool and read the traces that are complete; returns how many
    records came in. Faults are logged.

    A service that logs must not be able to take the dashboard down, so nothing is raised.
    """
    if not workspace.spool.is_dir():
        return 0
    try:
        return load_waiting(open_lake(workspace), workspace).records
    except RagdiagError as error:
        _log.warning("ingest of %s: %s", workspace.root, error)
    except Exception:
        _log.exception("ingest of %s failed; trying again in %s s", workspace.root, EVERY_S)
    return 0


def _run(workspace: Workspace) -> None:
    """Until the workspace is gone."""
    while workspace.exists:
        ingest_once(workspace)
        time.sleep(EVERY_S)
