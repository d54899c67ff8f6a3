"""What an index build says about itself: every file with its size and SHA-256."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragdiag.errors import IndexFault
from ragdiag.retrieval.files import sha256_file

MANIFEST = "manifest.json"
REBUILD = "build it again: ragdiag index build VERSION"


def inventory(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below ``folder``, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in files
    }


def verified_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the build in ``folder``, after every file was checked against it.

    FAISS loads flipped bytes without a word, so this reads each file once (about 3 s a gigabyte).
    Raises IndexFault naming the file that is missing or has changed.
    """
    if not folder.is_dir():
        raise IndexFault(
            f"index build {folder.name} is missing from {folder.parent}", remedy=REBUILD
        )
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = manifest["files"].items()
    except (OSError, ValueError, KeyError, AttributeError):
        raise IndexFault(f"cannot read {folder / MANIFEST}", remedy=REBUILD) from None
    for name, facts in expected:
        path = folder / name
        if not path.is_file():
            raise IndexFault(f"index file {path} is missing", remedy=REBUILD)
        if path.stat().st_size != facts["bytes"] or sha256_file(path) != facts["sha256"]:
            raise IndexFault(f"index file {path} has changed since it was built", remedy=REBUILD)
    return manifest
