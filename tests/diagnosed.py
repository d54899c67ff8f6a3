"""Diagnosing in one call, as the command does."""

from __future__ import annotations

from typing import Any

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.diagnosing.diagnose import Scope, open_diagnosis
from ragdiag.workflows.diagnosing.replays import NO_LIMITS, Limits
from ragdiag.workflows.diagnosing.summary import DiagnosisSummary


def diagnose(
    lake: Lake,
    workspace: Workspace,
    version: Version | LoggedVersion,
    *,
    limits: Limits = NO_LIMITS,
    **scope: Any,
) -> DiagnosisSummary:
    """Of the scope whose fields are named."""
    return open_diagnosis(lake, workspace, version, Scope(**scope), limits).diagnose()
