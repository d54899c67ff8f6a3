"""A pipeline for a process that runs for long: it moves to the build that was published last."""

from __future__ import annotations

import logging
import threading
import time

from ragdiag.errors import RagdiagError
from ragdiag.pipeline import Pipeline, open_pipeline
from ragdiag.retrieval.serving import pointer_path
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import Version

RETRY_S = 30.0
"""How long until a published build that could not be opened is tried again."""

_log = logging.getLogger(__name__)


class FollowingPipeline:
    """``current()`` is ``version`` over the build that serves now; safe from any thread.

    A question that is under way finishes on the pipeline it was given. The new build is opened by
    the first caller who meets it, while the others go on with the old one; where it cannot be
    opened, all do, and the log says why.
    """

    def __init__(self, lake: Lake, workspace: Workspace, version: Version) -> None:
        """Opens what serves. Raises as :func:`ragdiag.pipeline.open_pipeline` does."""
        self._lake, self._workspace, self._version = lake, workspace, version
        self._opening = threading.Lock()
        self._retry_at = 0.0
        self._seen = self._signature()
        self._pipeline = open_pipeline(lake, workspace, version)

    def current(self) -> Pipeline:
        """One look at a small file (12 µs), unless another build has been published."""
        moved = self._signature() != self._seen and time.monotonic() >= self._retry_at
        if moved and self._opening.acquire(blocking=False):
            try:
                self._move()
            finally:
                self._opening.release()
        return self._pipeline

    def reopen(self) -> None:
        """Open what serves anew, for what has left the corpus since."""
        with self._opening:
            self._move()

    def _move(self) -> None:
        signature = self._signature()
        try:
            self._pipeline = open_pipeline(self._lake, self._workspace, self._version)
            self._seen = signature
        except RagdiagError as error:
            self._retry_at = time.monotonic() + RETRY_S
            _log.warning("%s; build %s goes on serving", error, self._pipeline.build_id)

    def _signature(self) -> tuple[int, int] | None:
        """Changes with every publication: the file is replaced each time."""
        try:
            stat = pointer_path(self._workspace, self._version.spec.index_key).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns
