"""What the corpus says by now of a build's passages: who may find them must not wait for the next
build.

A build goes on serving the texts it was made from. One that has been replaced since is for those
alone who may read both it and its successor: a text that was restricted while it was edited is
hidden at once, and one that was published while it was edited is not published in its old wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ragdiag.records import Passage, PassageMetadata
from ragdiag.retrieval.builds import Index
from ragdiag.store.corpus import load_successor_metadata, removed_passages
from ragdiag.store.lake import Lake


def corrected(lake: Lake, index: Index, passages: Mapping[str, Passage]) -> Index:
    """``index`` without the passages that have left the corpus or that nobody may read any more,
    and whose the others are by now. ``passages`` are the build's, as the lake has them."""
    newer = load_successor_metadata(lake, [passages[name] for name in index.passage_ids])
    gone = removed_passages(lake, index.passage_ids)
    known = []
    for name in index.passage_ids:
        metadata = passages[name].metadata
        if name in newer:
            shared = for_both(metadata, newer[name])
            if shared is None:
                gone.add(name)
            metadata = shared or metadata
        known.append(metadata)
    return index.without(gone).known_as(known)


def for_both(old: PassageMetadata, new: PassageMetadata) -> PassageMetadata | None:
    """``new``, but for those alone whom ``old`` lets through too; None where nobody is known to be.

    Of roles, one that both name must be held: two different ones are not enough.

    >>> for_both(PassageMetadata(roles=("hr", "it")), PassageMetadata("acme", roles=("hr",)))
    PassageMetadata(tenant='acme', topic='', published_at=None, roles=('hr',))
    >>> for_both(PassageMetadata("acme"), PassageMetadata("other"))
    """
    roles = tuple(role for role in new.roles if role in old.roles)
    if not old.roles or not new.roles:
        roles = old.roles or new.roles
    elif not roles:
        return None
    if old.tenant and new.tenant and old.tenant != new.tenant:
        return None
    return replace(new, tenant=old.tenant or new.tenant, roles=roles)
