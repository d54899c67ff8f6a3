"""Loading of what services have logged, in the background of the dashboard's process."""

from __future__ import annotations

import atexit
import logging
import threading
from pathlib import Path

import streamlit as st

from ragdiag.deploy.owed import PATIENCE_S, look_where_owed
from ragdiag.errors import RagdiagError
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.workflows.logs.ingest import load_waiting

EVERY_S = 3.0
_log = logging.getLogger(__name__)


class BackgroundIngest:
    """Ingests the spool of ``workspace`` until it is stopped or the workspace is gone."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stopping = threading.Event()
        # A daemon, since the interpreter would wait for any other before it runs stop().
        self._thread = threading.Thread(
            target=self._run, name=f"ingest {workspace.root}", daemon=True
        )
        self._thread.start()
        # A thread that is inside DuckDB when the interpreter ends would abort the process.
        atexit.register(self.stop)

    def stop(self) -> None:
        """On return nothing more is loaded; what is being loaded is loaded first."""
        self._stopping.set()
        self._thread.join()
        atexit.unregister(self.stop)

    def _run(self) -> None:
        while self._workspace.exists:
            ingest_once(self._workspace)
            if self._stopping.wait(EVERY_S):
                return


@st.cache_resource(show_spinner=False, on_release=BackgroundIngest.stop)
def keep_ingesting(root: str) -> BackgroundIngest:
    """Start ingesting the spool of a workspace, once per process."""
    return BackgroundIngest(Workspace(Path(root)))


def ingest_once(workspace: Workspace) -> int:
    """Load what waits in the spool and read the traces that are complete; returns how many
    records came in. A look at the indexes that is owed is had. Faults are logged.

    A service that logs must not be able to take the dashboard down, so nothing is raised.
    """
    try:
        lake = open_lake(workspace)
        look_where_owed(lake, workspace, by="dashboard", after_s=PATIENCE_S)
        return load_waiting(lake, workspace).records if workspace.spool.is_dir() else 0
    except RagdiagError as error:
        _log.warning("ingest of %s: %s", workspace.root, error)
    except Exception:
        _log.exception("ingest of %s failed; trying again in %s s", workspace.root, EVERY_S)
    return 0
