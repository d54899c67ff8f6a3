"""Keyed hashes: a user's pseudonym, and whatever else must be equal for equals and tell no more.

The key is the environment's ``RAGDIAG_USER_KEY``, else the workspace's own file
``secrets/user.key``, made on first use. Without the key nobody can try out user ids; with another
key every pseudonym is another one, so the file belongs to the workspace as its catalog does.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from ragdiag.errors import InputError, StoreError
from ragdiag.settings import Workspace
from ragdiag.user_ids import plain_user

KEY_VARIABLE = "RAGDIAG_USER_KEY"
SHORTEST_KEY = 32
"""Characters; half of what 64 hexadecimal ones carry is still 128 bit."""
DIGITS = 32
"""Hexadecimal digits kept of each hash: 128 bit, so no two of 10^9 users are likely to meet."""

_PSEUDONYM = rf"[0-9a-f]{{{DIGITS}}}"
_PSEUDONYM_ALONE = re.compile(_PSEUDONYM)
_MARKED = re.compile(rf"user:({_PSEUDONYM})")

Purpose = Literal["user", "forgotten", "text"]


def user_key(workspace: Workspace, user_id: str) -> str:
    """The pseudonym of ``user_id``: 32 hexadecimal digits, the same in every process. Blanks
    around an id are no part of it.

    Raises InputError for an empty id and for a key that cannot be used, StoreError where the key
    file can be neither read nor made.
    """
    return keyed_hash(workspace, "user", _named(user_id))


def mark_user(workspace: Workspace, user_id: str) -> str:
    """What is kept where a raw user id stood: ``user:`` and the pseudonym. Twice is once."""
    return user_id if _MARKED.fullmatch(user_id) else f"user:{user_key(workspace, user_id)}"


def key_as_typed(workspace: Workspace, user_id: str) -> str:
    """The pseudonym of ``user_id`` with the blanks around it, as older versions made it where a
    log had them. Raises as :func:`user_key`."""
    return keyed_hash(workspace, "user", user_id)


def read_user(workspace: Workspace, user: str) -> str:
    """The pseudonym of a raw user id or of a marked one."""
    return user_reader(workspace)(user)


def user_reader(workspace: Workspace) -> Callable[[str], str]:
    """:func:`read_user` for many users, with the key as it is when the first is read: to look at
    the key's file for each took longer than the hash. Raises as :func:`user_key`."""
    hasher = cache(lambda: keyed_hasher(workspace, "user"))

    def read(user: str) -> str:
        marked = _MARKED.fullmatch(user)
        return marked[1] if marked else hasher()(_named(user))

    return read


def stored_user(key: str | None, pseudonym: Callable[[str], str]) -> str | None:
    """The ``user_key`` of a request that somebody else wrote: what has not the form of a
    pseudonym is a raw user id, and becomes one; blanks are nobody.

    >>> stored_user("ann", lambda user: f"hash of {user}"), stored_user("0f" * 16, str.upper)
    ('hash of ann', '0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f')
    """
    named = plain_user(key)
    return pseudonym(named) if named and is_raw(named) else named or None


def is_raw(key: str) -> bool:
    """Whether a ``user_key`` has not the form of a pseudonym.

    >>> is_raw("ann"), is_raw("0f" * 16)
    (True, False)
    """
    return not _PSEUDONYM_ALONE.fullmatch(key)


def keyed_hash(workspace: Workspace, purpose: Purpose, text: str) -> str:
    """HMAC-SHA256 of ``text`` (RFC 2104), cut to 32 hexadecimal digits.

    Hashes of different purposes never meet: a stored text that happens to be a user's id says
    nothing about that user.
    """
    return keyed_hasher(workspace, purpose)(text)


def keyed_hasher(workspace: Workspace, purpose: Purpose) -> Callable[[str], str]:
    """:func:`keyed_hash` for many texts, with the key as it is now."""
    key = _key(workspace)

    def hashed(text: str) -> str:
        message = f"{purpose}\0{text}".encode(errors="surrogatepass")
        return hmac.digest(key, message, "sha256").hex()[:DIGITS]

    return hashed


def _named(user_id: str) -> str:
    named = plain_user(user_id)
    if not named:
        raise InputError("an empty user id has no pseudonym", remedy="leave the user out")
    return named


def key_file(workspace: Workspace) -> Path:
    return workspace.root / "secrets" / "user.key"


def _key(workspace: Workspace) -> bytes:
    given = os.environ.get(KEY_VARIABLE)
    if given is not None:
        return _checked(given, f"the environment variable {KEY_VARIABLE}")
    path = key_file(workspace)
    try:
        try:
            found = path.stat()
        except FileNotFoundError:
            _create(path)
            found = path.stat()
        return _read(path, found.st_ino, found.st_mtime_ns)
    except OSError as error:
        raise StoreError(
            f"cannot read or make the user key {path} ({error.strerror})",
            remedy=f"mend the folder's permissions, or set {KEY_VARIABLE}",
        ) from error


@lru_cache(maxsize=16)
def _read(path: Path, inode: int, modified: int) -> bytes:
    """The key in ``path``; the file's identity is part of the cache's key only."""
    return _checked(path.read_text(encoding="ascii", errors="replace"), str(path))


def _checked(text: str, source: str) -> bytes:
    key = text.strip()
    if len(key) < SHORTEST_KEY:
        raise InputError(
            f"{source} holds {len(key)} characters, too few for a key",
            remedy=f"give it {SHORTEST_KEY} or more, or restore the one that was there",
        )
    return key.encode(errors="surrogatepass")


def _create(path: Path) -> None:
    """Make the key file whole or not at all: of processes that race, the first one's key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        try:
            os.write(descriptor, secrets.token_hex(32).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
