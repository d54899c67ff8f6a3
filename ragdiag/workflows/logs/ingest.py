"""Everything that waits, loaded: the spool into the lake, then complete traces as requests."""

from __future__ import annotations

from dataclasses import dataclass

from ragdiag.settings import Workspace
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.lake import Lake
from ragdiag.workflows.logs.traces import SETTLE_S, AssemblyReport, assemble_traces


@dataclass(frozen=True, slots=True)
class Loaded:
    spool: IngestReport
    traces: AssemblyReport

    @property
    def records(self) -> int:
        """New rows of any kind."""
        return self.spool.accepted + self.traces.records

    def to_json(self) -> dict[str, int]:
        """``accepted`` are new records of the spool; ``requests`` were read from ``traces``."""
        return {
            "segments": self.spool.segments,
            "accepted": self.spool.accepted,
            "rejected": self.spool.rejected + self.traces.rejected,
            "traces": self.traces.traces,
            "requests": self.traces.requests,
        }


def load_waiting(lake: Lake, workspace: Workspace, *, settle_s: float = SETTLE_S) -> Loaded:
    """Ingest every finished segment, then assemble the traces that are ready. Raises StoreError."""
    return Loaded(ingest(lake, workspace), assemble_traces(lake, settle_s=settle_s))
