"""Real servers for tests, on free ports and in folders of their own: PostgreSQL, and S3 by moto."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from ragdiag.settings import Workspace

PASSWORD = "it's a \\secret\\ word"
KEY_ID = "test-key-id"
SECRET_KEY = "sec'ret/key+with=signs"
PASSWORD_VARIABLE = "RAGDIAG_TEST_POSTGRES_PASSWORD"
ENVIRONMENT = {
    PASSWORD_VARIABLE: PASSWORD,
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{log.read_text()}")
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Postgres:
    """A PostgreSQL server of an unprivileged user, which it insists on."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def binaries() -> Path:
        """Debian keeps them off the path, by version."""
        found = shutil.which("initdb") or next(
            (str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[::-1]), None
        )
        if found is None:
            pytest.skip("no PostgreSQL server here; install the Debian package postgresql")
        return Path(found).resolve().parent

    def create(self) -> None:
        self.folder.mkdir(parents=True)
        words = self.folder / "password"
        words.write_text(PASSWORD)
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody")
            words.chmod(0o644)
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "ragdiag", "-A", "scram-sha-256",
            f"--pwfile={words}", "--no-sync", "-E", "UTF8",
        )  # fmt: skip

    def start(self) -> None:
        log = self.folder.parent / "postgres.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *self._as_user(), str(self.binaries() / "postgres"),
                    "-D", str(self.folder / "data"), "-p", str(self.port),
                    "-c", "listen_addresses=127.0.0.1", "-k", "",
                ],
                stdout=output, stderr=output, cwd="/",
            )  # fmt: skip
        wait_until(lambda: answers(self.port) and self._is_ready(), self.process, log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends every session at once; SIGQUIT besides leaves recovery to the next start."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def ask(self, sql: str) -> str:
        """What ``psql`` prints for ``sql``."""
        return self._run(
            "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "ragdiag", "-d", "postgres",
            "-Atc", sql,
        )  # fmt: skip

    def dump(self, schema: str) -> str:
        """Every row of a schema, as ``pg_dump`` writes it: bytes are hexadecimal digits."""
        pattern = '"' + schema.replace('"', '""') + '"'
        return self._run(
            "pg_dump", "-h", "127.0.0.1", "-p", str(self.port), "-U", "ragdiag", "-d", "postgres",
            "--schema", pattern, "--data-only",
        )  # fmt: skip

    def _is_ready(self) -> bool:
        program = str(self.binaries() / "pg_isready")
        command = [program, "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [*self._as_user(), str(self.binaries() / program), *arguments],
            capture_output=True, text=True, check=False, cwd="/",
            env={**os.environ, "PGPASSWORD": PASSWORD},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @staticmethod
    def _as_user() -> list[str]:
        if os.getuid():
            return []
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@dataclass
class ObjectStore:
    """moto's S3 server in a process of its own; what it stores ends with it."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self.folder / "s3.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-c",
                    "import sys; from moto.server import main; main(sys.argv[1:])",
                    "-H", "127.0.0.1", "-p", str(self.port),
                ],
                stdout=output, stderr=output,
            )  # fmt: skip
        wait_until(lambda: answers(self.port), self.process, log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def create_bucket(self, name: str) -> None:
        self._client().create_bucket(Bucket=name)

    def delete_bucket(self, name: str) -> None:
        """And up to a thousand objects in it."""
        for key in self.keys(name, ""):
            self.delete(name, key)
        self._client().delete_bucket(Bucket=name)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """The objects below a prefix, up to the thousand that one answer lists."""
        listed = self._client().list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for found in listed.get("Contents", ())]

    def read(self, bucket: str, key: str) -> bytes:
        content: bytes = self._client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def write(self, bucket: str, key: str, content: bytes) -> None:
        self._client().put_object(Bucket=bucket, Key=key, Body=content)

    def delete(self, bucket: str, key: str) -> None:
        self._client().delete_object(Bucket=bucket, Key=key)

    def check_keys(self, check: bool) -> None:
        """Whether requests are refused whose key it does not know; it knows none."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/moto-api/reset-auth",
            data=b"0" if check else b"inf",
            headers={"Content-Type": "text/plain"},
        )
        urllib.request.urlopen(request, timeout=30).close()

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET_KEY,
        )


class LossyWire:
    """A way to a PostgreSQL server that can lose the answer to a COMMIT, and then the connection:
    the transaction is committed, and its client never hears of it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.loses = False
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Until either end closes, or an answer is lost."""
        losing = False
        with client, server, suppress(OSError):
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    if not (data := ready.recv(65_536)):
                        return
                    if ready is client:
                        losing = self.loses and b"COMMIT" in data
                        server.sendall(data)
                    elif losing:
                        self.lost += 1
                        return
                    else:
                        client.sendall(data)


def configure(
    workspace: Workspace,
    *,
    postgres: Postgres | None = None,
    schema: str = "ragdiag",
    store: ObjectStore | None = None,
    data_path: str | Path | None = None,
    encrypted: bool = True,
) -> Workspace:
    """Write ``ragdiag.toml`` for these servers."""
    lines = ["[lake]", f"encrypted = {str(encrypted).lower()}"]
    if postgres is not None:
        lines.append('catalog = "postgres"')
    if data_path is not None:
        lines.append(f'data_path = "{data_path}"')
    if postgres is not None:
        lines += [
            "[lake.postgres]",
            f'uri = "postgresql://ragdiag@127.0.0.1:{postgres.port}/postgres"',
            f'schema = "{schema}"',
            f'password_env = "{PASSWORD_VARIABLE}"',
        ]
    if store is not None:
        lines += [
            "[lake.s3]",
            f'endpoint = "127.0.0.1:{store.port}"',
            'url_style = "path"',
            "use_ssl = false",
        ]
    workspace.root.mkdir(parents=True, exist_ok=True)
    workspace.configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return workspace
