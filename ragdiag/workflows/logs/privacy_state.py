"""What a workspace hides and encrypts, as findings; see docs/privacy.md."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ragdiag.configuration import Configuration, read_configuration
from ragdiag.errors import RagdiagError
from ragdiag.privacy.encryption import is_encrypted, key_id_of
from ragdiag.privacy.keys import Keyring, read_keyring
from ragdiag.privacy.pseudonyms import key_file
from ragdiag.privacy.screening import open_screen
from ragdiag.settings import Workspace
from ragdiag.store.upkeep.archive import archived_segments
from ragdiag.training.set_files import set_files


def privacy_findings(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Each finding and its remedy; the remedy is empty where nothing is to be mended."""
    try:
        configured = read_configuration(workspace)
        open_screen(workspace)
        keyring = read_keyring(configured.privacy.encryption_key_env)
    except RagdiagError as error:
        yield error.message, error.remedy
        return
    yield _hidden(configured), ""
    yield _encrypted(configured, keyring)
    yield from _unreadable(workspace, keyring)
    yield from _user_key(workspace)


def _hidden(configured: Configuration) -> str:
    privacy = configured.privacy
    rules = ", ".join([*privacy.redact, *privacy.patterns]) or "nothing"
    texts = "stored" if privacy.store_text else "not stored"
    return f"privacy: {rules} redacted, texts {texts}"


def _encrypted(configured: Configuration, keyring: Keyring) -> tuple[str, str]:
    privacy = configured.privacy
    lake = ["lake"] if configured.lake.encrypted else []
    what = ", ".join([*lake, *privacy.encrypt]) or "nothing"
    if privacy.encrypt and not keyring.keys:
        check = f"encrypted: {what}, and {keyring.source} holds no key"
        return check, f"set {keyring.source}; ragdiag privacy new-key prints a key"
    key = f", key {keyring.keys[0].key_id}" if keyring.keys else ""
    return f"encrypted: {what}{key}", ""


def _unreadable(workspace: Workspace, keyring: Keyring) -> Iterator[tuple[str, str]]:
    held = {key.key_id for key in keyring.keys}
    needed = Counter(
        key_id for path in _encrypted_files(workspace) if (key_id := key_id_of(path)) not in held
    )
    for key_id, files in needed.items():
        yield (
            f"{files} files need the key {key_id}, which {keyring.source} does not hold",
            f"add it to {keyring.source}, after the present one if there is one",
        )


def _encrypted_files(workspace: Workspace) -> Iterator[Path]:
    yield from (path for path in archived_segments(workspace).values() if is_encrypted(path))
    yield from (path for path in workspace.embeddings.rglob("*.enc") if is_encrypted(path))
    yield from (path for path in set_files(workspace.training) if is_encrypted(path))


def _user_key(workspace: Workspace) -> Iterator[tuple[str, str]]:
    path = key_file(workspace)
    if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield f"the user key {path} can be read by others", f"run: chmod 600 {path}"
