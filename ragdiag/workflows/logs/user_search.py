"""The search for what is left of a user, in the places that ragdiag clears and in all others."""

from __future__ import annotations

from collections.abc import Collection

from ragdiag.records import Passage
from ragdiag.retrieval.vectors import open_cache
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.byte_search import files_with
from ragdiag.store.upkeep.known_backups import KnownBackup, list_backups
from ragdiag.store.upkeep.restored_here import ASIDE
from ragdiag.store.upkeep.segment_sweep import sweep_segments
from ragdiag.store.upkeep.snapshots import snapshot_ids
from ragdiag.store.upkeep.unfinished import FOLDER
from ragdiag.store.upkeep.user_traces import UserTraces, count_texts, count_traces
from ragdiag.workflows.logs.forgetting import EMBEDDINGS, JUDGEMENTS, TRAINING, Place

SHORTEST_NEEDLE = 12
"""Characters of a text that is searched for: shorter ones are in other people's words too."""


def searched_again(
    lake: Lake,
    workspace: Workspace,
    traces: UserTraces,
    tombstones: frozenset[str],
    places: Collection[Place],
    pairs: int,
) -> list[Place]:
    """The places with what is left in each, and the present lake read for the user's texts.
    ``pairs`` are left of training sets."""
    rows = count_traces(lake, traces)
    names = [*traces.keys, *traces.ids]
    swept = sweep_segments(workspace, tombstones, names, dry_run=True)
    left = {f"lake: {table}": n for table, n in rows.items()}
    left |= {"spool": swept.spool, "spool archive": swept.archive}
    left[TRAINING] = pairs
    left[EMBEDDINGS] = open_cache(workspace).count(content_hashes(traces))
    left[JUDGEMENTS] = len(judge_files_with(workspace, traces))
    left["old snapshots"] = len(lake.read(snapshot_ids)) - 1
    found = [
        Place(one.name, one.found, one.removed, left.get(one.name), one.note) for one in places
    ]
    return [*found, Place("lake: any text of theirs", 0, 0, count_texts(lake, traces))]


def holding_backups(workspace: Workspace, traces: UserTraces) -> list[KnownBackup]:
    """Backups made after the user's first request."""
    if traces.since is None:
        return []
    first = traces.since.isoformat()
    return [one for one in list_backups(workspace) if one.made_at >= first]


def other_files(workspace: Workspace, traces: UserTraces, user: str) -> list[str]:
    """Files in whose bytes the user is found; lakes that a restore has moved aside are named
    anyhow."""
    found = files_with(workspace.root, _needles(traces, user))
    return sorted(one for one in found if not one.startswith((ASIDE, f"{FOLDER}/")))


def _needles(traces: UserTraces, user: str) -> list[bytes]:
    """What is searched for in the bytes of every file: pseudonyms and telling texts."""
    told = [text for text in (user, *traces.texts) if len(text) >= SHORTEST_NEEDLE]
    return [text.encode() for text in [*traces.keys, *told]]


def content_hashes(traces: UserTraces) -> list[str]:
    return [Passage("", "", text).content_hash for text in traces.texts]


def judge_files_with(workspace: Workspace, traces: UserTraces) -> list[str]:
    """Files of the judge's cache in whose bytes the user is found."""
    return files_with(workspace.judge_cache, _needles(traces, ""))
