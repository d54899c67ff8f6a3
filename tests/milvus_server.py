"""A real Milvus in a process of its own: the embedded engine, served."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.servers import answers, free_port, wait_until


class MilvusServer:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self.folder / "log"
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1"]
        command += ["--data-dir", str(self.folder / "data"), "--port", str(self.port)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_until(lambda: answers(self.port), self._process, log)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Let it hang: on return no thread of it answers any more."""
        self.signal(signal.SIGSTOP)
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task")
        wait_until(
            lambda: all("\nState:\tT" in (one / "status").read_text() for one in threads.iterdir()),
            self._process,
            self.folder / "log",
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
