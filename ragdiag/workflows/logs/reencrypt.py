"""Archive, embeddings and training sets written as configuration and first key say now."""

from __future__ import annotations

from pathlib import Path

from ragdiag.configuration import read_configuration
from ragdiag.privacy.encryption import is_encrypted, key_id_of
from ragdiag.privacy.keys import Keyring, keyring_for, workspace_keys
from ragdiag.retrieval.vectors import open_cache
from ragdiag.settings import Workspace
from ragdiag.store.upkeep.archive import archive_turn, archived_segments
from ragdiag.store.upkeep.sealed import copy_in
from ragdiag.training.set_files import set_files, training_seal


def reencrypt_workspace(workspace: Workspace) -> dict[str, int]:
    """Write anew what is encrypted with another key than the first, or is encrypted and should not
    be, or the reverse; returns how many files, by place. Each file is exchanged as a whole.

    Raises KeyMissing where a file's key is not there; what was done before stays done.
    """
    seal = keyring_for(read_configuration(workspace).privacy, "archive")
    keys = workspace_keys(workspace)
    done = 0
    with archive_turn(workspace):
        for path in archived_segments(workspace).values():
            if _key_of(path) != _key_id(seal):
                copy_in(path, path, seal, keys)
                done += 1
    learnt = training_seal(workspace)
    sets = [path for path in set_files(workspace.training) if _key_of(path) != _key_id(learnt)]
    for path in sets:
        copy_in(path, path, learnt, keys)
    return {
        "archive": done,
        "embeddings": open_cache(workspace).reseal(),
        "training": len(sets),
    }


def _key_of(path: Path) -> str | None:
    return key_id_of(path) if is_encrypted(path) else None


def _key_id(seal: Keyring | None) -> str | None:
    return None if seal is None else seal.keys[0].key_id
