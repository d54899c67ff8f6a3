"""Forgetting one user everywhere, and the proof.

The tombstones are kept first, in a file beside the lake and then in the lake, so that nothing of
the user comes in while the rest is cleared: rows, old snapshots and their files, spool and
archive, rejected lines, caches, training data. What ragdiag does not change by itself (backups,
files that somebody has written into the workspace) is named. At the end all is searched again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext

from ragdiag.errors import StoreBusy
from ragdiag.privacy.keys import workspace_keys
from ragdiag.privacy.pseudonyms import key_as_typed, read_user
from ragdiag.progress import Progress, report
from ragdiag.retrieval.vectors import open_cache
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.forgotten import (
    keep_tombstones,
    kept_tombstones,
    read_forgotten,
    request_tombstone,
    user_tombstone,
)
from ragdiag.store.upkeep.history import purge_history
from ragdiag.store.upkeep.restored_here import ASIDE
from ragdiag.store.upkeep.segment_sweep import find_in_segments, sweep_segments
from ragdiag.store.upkeep.unfinished import (
    drop_targets,
    keep_targets,
    kept_targets,
    unfinished_keys,
)
from ragdiag.store.upkeep.user_traces import (
    UserTraces,
    count_traces,
    find_traces,
    is_user_key,
    join_traces,
    remove_traces,
    user_keys,
)
from ragdiag.training.answers.sets import forget_examples
from ragdiag.training.data.sets import Forgotten, forget_pairs
from ragdiag.user_ids import plain_user
from ragdiag.workflows.logs.forgetting import (
    ANSWERS,
    EMBEDDINGS,
    JUDGEMENTS,
    TRAINING,
    Forgetting,
    Place,
)
from ragdiag.workflows.logs.user_search import (
    content_hashes,
    holding_backups,
    judge_files_with,
    other_files,
    searched_again,
)


def forget_user(
    lake: Lake,
    workspace: Workspace,
    user: str,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Forgetting:
    """Remove what the workspace holds of ``user`` (a user id, or a pseudonym as ``user:…``).

    Running it again is safe, and finishes what was interrupted or was not clean: what the deleted
    rows told is kept until then. Raises StoreBusy where other processes keep a part of it from
    being cleared; then it has to be run again.
    """
    keys = _pseudonyms(lake, workspace, user)
    return _forget(lake, workspace, keys, user, dry_run=dry_run, progress=progress)


def forget_again(lake: Lake, workspace: Workspace) -> Forgetting | None:
    """Forget whom the tombstones name, after a backup has brought them back, or an interruption has
    left something; None where nobody was ever forgotten."""
    tombstones = kept_tombstones(workspace) | lake.write(read_forgotten)
    if not tombstones:
        return None
    back = [key for key in user_keys(lake) if user_tombstone(workspace, key) in tombstones]
    keys = {*back, *unfinished_keys(workspace)}
    return _forget(lake, workspace, keys, "", tombstones=tombstones)


def _forget(
    lake: Lake,
    workspace: Workspace,
    keys: Collection[str],
    user: str,
    *,
    tombstones: frozenset[str] = frozenset(),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Forgetting:
    report(progress, 0.0, "looking for what there is")
    kept = kept_targets(workspace, keys)
    own = {user_tombstone(workspace, key) for key in (*keys, *kept.keys)}
    tombstones |= own
    waiting = find_in_segments(workspace, tombstones)
    traces = find_traces(lake, keys, join_traces([kept, waiting]))
    taken = set(waiting.request_ids) - set(traces.request_ids)
    was_here = traces.since is not None or not own.isdisjoint(kept_tombstones(workspace))
    of_requests = frozenset(request_tombstone(workspace, one) for one in traces.ids)
    tombstones |= of_requests
    if not dry_run:
        keep_targets(workspace, traces)
        keep_tombstones(workspace, tombstones)
    # Before the rows: without them nobody could tell which questions were the user's.
    learnt = _forget_pairs(workspace, traces, tombstones, dry_run=dry_run)
    if dry_run:
        rows = count_traces(lake, traces)
    else:
        rows = lake.write(lambda cursor: remove_traces(cursor, traces, tombstones))
    report(progress, 0.3, "clearing spool and archive")
    with nullcontext() if dry_run else _rows_gone():
        names = [*traces.keys, *traces.ids]
        swept = sweep_segments(
            workspace, of_requests, names, of_users=tombstones, taken=taken, dry_run=dry_run
        )
        found = {f"lake: {table}": n for table, n in rows.items()}
        found |= {"spool": swept.spool, "spool archive": swept.archive}
        places = [Place(name, n, 0 if dry_run else n) for name, n in found.items()]
        places += [
            Place(
                "spool, being written",
                swept.live,
                note="turned away when it is ingested" if swept.live else "",
            ),
            _place_of(workspace, learnt, dry_run=dry_run),
            *_clear_caches(workspace, traces, dry_run=dry_run),
        ]
        if not dry_run:
            report(progress, 0.5, "clearing old snapshots")
            places += _clear_past(lake)
            # Once more: what was answered or drawn since then may hold what is gone only now.
            keep_tombstones(workspace, tombstones)
            report(progress, 0.8, "searching everything again")
            pairs = _forget_pairs(workspace, traces, tombstones, dry_run=True).pairs
            places = searched_again(lake, workspace, traces, tombstones, places, pairs)
    aside = sorted(path.name for path in workspace.root.glob(f"{ASIDE}*")) if was_here else []
    files = other_files(workspace, traces, user)
    done = Forgetting(
        requests=len(traces.request_ids),
        dry_run=dry_run,
        places=tuple(places),
        backups=tuple(holding_backups(workspace, traces)),
        files=(*aside, *files),
    )
    if not dry_run and not files and not any(place.left for place in places):
        # A lake that was moved aside is named without them, and theirs are words to be forgotten.
        drop_targets(workspace, traces.keys)
    return done


@contextmanager
def _rows_gone() -> Iterator[None]:
    """StoreBusy says that something was done: whoever was busy cannot know."""
    try:
        yield
    except StoreBusy as error:
        raise StoreBusy(
            f"the rows are deleted, the rest is not cleared yet ({error.message})",
            remedy="run the same command again when other commands and the dashboard have stopped",
        ) from error


def _pseudonyms(lake: Lake, workspace: Workspace, user: str) -> list[str]:
    """The user's pseudonym, and the id itself where a log was imported with it as one; also the
    pseudonym of an id with blanks around it, under which an older version may have stored it."""
    itself = [user] if is_user_key(lake, user) else []
    typed = [key_as_typed(workspace, user)] if user != plain_user(user) else []
    return sorted({read_user(workspace, user), *typed, *itself})


def _forget_pairs(
    workspace: Workspace, traces: UserTraces, tombstones: frozenset[str], *, dry_run: bool
) -> Forgotten:
    root, asked, texts = workspace.training, traces.question_ids, traces.texts

    def is_theirs(request_id: str) -> bool:
        return request_tombstone(workspace, request_id) in tombstones

    keys = workspace_keys(workspace)
    pairs = forget_pairs(root, is_theirs, asked, texts, keys=keys, dry_run=dry_run)
    examples = forget_examples(root, asked, texts, keys=keys, dry_run=dry_run)
    return Forgotten(pairs.pairs + examples.pairs, (*pairs.files, *examples.files))


def _place_of(workspace: Workspace, learnt: Forgotten, *, dry_run: bool) -> Place:
    """The training sets; the note says what is not removed: weights that were made of them."""
    runs = sorted({path.relative_to(workspace.training).parts[0] for path in learnt.files})
    note = f"models of these runs have learnt from them: {', '.join(runs)}" if runs else ""
    return Place(TRAINING, learnt.pairs, 0 if dry_run else learnt.pairs, note=note)


def _clear_caches(workspace: Workspace, traces: UserTraces, *, dry_run: bool) -> Iterator[Place]:
    """The judgements are searched, and nothing is removed: they are numbers, and hold no text."""
    vectors, hashes = open_cache(workspace), content_hashes(traces)
    found = vectors.count(hashes)
    yield Place(EMBEDDINGS, found, 0 if dry_run else vectors.forget(hashes))
    yield Place(JUDGEMENTS, len(judge_files_with(workspace, traces)))
    when = "" if dry_run else ", and was told by the tombstones in secrets/forgotten"
    note = f"each process drops all of them before its next answer or page{when}"
    yield Place(ANSWERS, None, None, note=note)


def _clear_past(lake: Lake) -> Iterator[Place]:
    purged = purge_history(lake)
    broken = ", ".join(purged.broken)
    note = f"these named snapshots can no longer be read: {broken}" if broken else ""
    yield Place("old snapshots", purged.snapshots, purged.snapshots, note=note)
    yield Place("files of old snapshots", purged.files, purged.files)
