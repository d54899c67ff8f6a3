"""A search through the bytes of files, whatever they are."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragdiag.errors import StoreError


def files_with(root: Path, needles: Sequence[bytes]) -> list[str]:
    """Files below ``root`` that contain one of ``needles`` (UTF-8) or its JSON form, by path.

    What is compressed or encrypted is not looked into. A process of its own does it: to close a
    file that DuckDB's SQLite has open would drop that one's locks.
    """
    if not needles:
        return []
    given = json.dumps([needle.decode(errors="replace") for needle in needles])
    done = subprocess.run(
        [sys.executable, "-m", "ragdiag.store.upkeep.byte_search", str(root)],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoreError(
            f"cannot search the files of {root} ({done.stderr.strip().splitlines()[-1:]})",
            remedy="check their permissions and run the same command again",
        )
    return [str(path) for path in json.loads(done.stdout)]


def search(root: Path, needles: Sequence[bytes]) -> Iterator[str]:
    """As :func:`files_with`, in this process."""
    forms = {form for needle in needles for form in (needle, _json_form(needle)) if form}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink() and _contains(path, forms):
            yield str(path.relative_to(root))


def _json_form(needle: bytes) -> bytes:
    return json.dumps(needle.decode(errors="replace"))[1:-1].encode()


def _contains(path: Path, forms: set[bytes]) -> bool:
    with path.open("rb") as stream:
        if not path.stat().st_size:
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(form) >= 0 for form in forms)


if __name__ == "__main__":
    wanted = [needle.encode() for needle in json.load(sys.stdin)]
    print(json.dumps(list(search(Path(sys.argv[1]), wanted))))
