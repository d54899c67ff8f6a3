"""Files written line by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

WriteLines = Callable[..., Path]


@pytest.fixture
def write_lines(tmp_path: Path) -> WriteLines:
    """``write_lines("a/b.jsonl", {...}, "raw", b"bytes")``: one line each, in tmp_path."""

    def write(name: str, *lines: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(as_bytes(line) + b"\n" for line in lines))
        return path

    return write


def as_bytes(line: object) -> bytes:
    if isinstance(line, bytes):
        return line
    return (line if isinstance(line, str) else json.dumps(line)).encode()
