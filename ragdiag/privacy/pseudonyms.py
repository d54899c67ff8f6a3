"""Users as keyed hashes: the same user has the same key, and nobody can turn it back."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ragdiag.errors import InputError, StoreError
from ragdiag.settings import Workspace

KEY_VARIABLE = "RAGDIAG_USER_KEY"
LEAST_KEY_BYTES = 16


def user_key(workspace: Workspace, user_id: str) -> str:
    """HMAC-SHA256 of ``user_id`` as hexadecimal digits.

    The key is $RAGDIAG_USER_KEY, else ``secrets/user.key`` of the workspace, made at first use
    with mode 0600. Raises InputError for a key under 16 bytes, StoreError where the file can
    neither be read nor made.
    """
    named = os.environ.get(KEY_VARIABLE)
    if named is None:
        key = _file_key(workspace.root / "secrets" / "user.key")
    else:
        key = _checked(named.encode(), f"${KEY_VARIABLE}")
    return hmac.digest(key, user_id.encode(errors="surrogatepass"), "sha256").hex()


@lru_cache(maxsize=64)
def _file_key(path: Path) -> bytes:
    try:
        if not path.exists():
            _make_key(path)
        return _checked(path.read_bytes().strip(), str(path))
    except OSError as error:
        raise StoreError(
            f"cannot read or make the key file {path} ({error.strerror})",
            remedy=f"check its permissions, or set ${KEY_VARIABLE}",
        ) from error


def _make_key(path: Path) -> None:
    """Written whole before it has its name, so that two first users agree on one key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first
            os.link(draft, path)
    finally:
        draft.unlink()


def _checked(key: bytes, name: str) -> bytes:
    if len(key) < LEAST_KEY_BYTES:
        raise InputError(
            f"the user key in {name} has {len(key)} bytes, {LEAST_KEY_BYTES} are the least",
            remedy="use a long random one (openssl rand -hex 32)",
        )
    return key
