"""A process that answers questions for the dashboard, so that no page loads a model.

One ``ragdiag ask VERSION -`` a version: a question is a line of its stdin, the request a line of
its stdout. It starts with the first question, ends when nothing has been asked for IDLE_S, and sees
the end of its stdin when the dashboard dies.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from ragdiag.errors import HelperEnded
from ragdiag.records import Request
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.ui.jobs import last_words

LONGEST_S = 180.0
"""For one answer, with the loading of the model before the first."""

IDLE_S = 600.0
MOST = 3
"""Processes at once: each holds a model and an index. The one unused for longest makes room."""


class Answerer:
    """Asks one version; safe from any thread, one question at a time."""

    def __init__(self, workspace: Workspace, version_id: str) -> None:
        self._workspace, self._version_id = workspace, version_id
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None
        atexit.register(self.stop)

    @property
    def log(self) -> Path:
        return self._workspace.jobs / f"ask-{self._version_id}.log"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, question: str) -> Request:
        """The request as it would be logged. Raises HelperEnded with what the process said last."""
        with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            if not self.runs:
                self._start()
            line = self._exchange(" ".join(question.split()))
            if not line:
                self._end()
                raise HelperEnded(last_words(self.log), remedy=f"the whole log is in {self.log}")
            self._idle = threading.Timer(IDLE_S, self._end_idle)
            self._idle.daemon = True
            self._idle.start()
        try:
            request = parse_line(line)
        except BadLine as wrong:
            told = f"what the process wrote is no request: {wrong}"
            raise HelperEnded(told, remedy=f"see {self.log}") from None
        if not isinstance(request, Request):
            raise HelperEnded("the process wrote no request", remedy=f"see {self.log}")
        return request

    def stop(self) -> None:
        """End the process, also in the middle of an answer."""
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.kill()
        with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            self._end()

    def _start(self) -> None:
        self._end()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ragdiag", "--workspace", str(self._workspace.root)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "ask", self._version_id, "-"],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def _exchange(self, question: str) -> bytes:
        """The line that answers; empty where the process ended, or was ended for being late."""
        process = self._process
        assert process is not None
        asks, answers = _pipes(process)
        late = threading.Timer(LONGEST_S, process.kill)
        late.start()
        try:
            asks.write(question.encode() + b"\n")
            asks.flush()
            return answers.readline()
        except BrokenPipeError:
            return b""
        finally:
            late.cancel()

    def _end_idle(self) -> None:
        with self._turn:
            if threading.current_thread() is self._idle:  # else somebody has just asked
                self._end()

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        for pipe in _pipes(self._process):
            with contextlib.suppress(BrokenPipeError):  # a question it did not take
                pipe.close()
        self._process.wait()
        self._process = None


def _pipes(process: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout  # type: ignore[return-value]


@st.cache_resource(show_spinner=False, max_entries=MOST, on_release=Answerer.stop)
def answerer(root: str, version_id: str) -> Answerer:
    """The one that answers for a version of a workspace, in this server."""
    return Answerer(Workspace(Path(root)), version_id)


def ask_each(
    workspace: Workspace, version_ids: Sequence[str], question: str
) -> list[Request | HelperEnded]:
    """What each version answers, asked at the same time."""
    asked = [answerer(str(workspace.root), version_id) for version_id in version_ids]
    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(lambda one: _answer(one, question), asked))


def _answer(one: Answerer, question: str) -> Request | HelperEnded:
    try:
        return one.ask(question)
    except HelperEnded as ended:
        return ended
