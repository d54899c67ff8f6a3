"""The states of a deployment, how one becomes another, and who is answered by which version.

Pure functions on frozen records: a service can route by a Deployment that it read once, without
the lake. Versions are named by their ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ragdiag.errors import InputError
from ragdiag.records import Deployment, DeploymentEvent
from ragdiag.user_ids import plain_user

Side = Literal["canary", "shadow", "production"]


def route(deployment: Deployment, key: str) -> str:
    """The id of the version that answers ``key``, a user's or a request's.

    The same key always meets the same version while the canary is the same, and one that meets the
    canary goes on doing so when the share grows. Over keys the share is exact in expectation: the
    key's hash, with the canary's id, is uniform. Blanks around a key are no part of it.

    >>> deployment = Deployment("v1", canary="v2", share=0.5)
    >>> [route(deployment, user) for user in ("alice", "bob", "carol")]
    ['v1', 'v1', 'v2']
    """
    if deployment.canary is None:
        return deployment.production
    message = f"{deployment.canary}\0{plain_user(key)}".encode(errors="surrogatepass")
    fraction = int.from_bytes(hashlib.blake2b(message, digest_size=8).digest()) / 2.0**64
    return deployment.canary if fraction < deployment.share else deployment.production


def set_production(deployment: Deployment | None, version_id: str) -> Deployment:
    """The first version that serves. Raises InputError where one does already."""
    if deployment is not None:
        raise InputError(
            "production has a version already",
            remedy="put the new one beside it: ragdiag deploy canary VERSION --share 5%",
        )
    return Deployment(version_id)


def start_canary(deployment: Deployment | None, version_id: str, share: float) -> Deployment:
    """Let ``version_id`` answer ``share`` of the keys; a running canary of the same version
    begins anew. Raises InputError for a share outside (0, 1) or where another one runs."""
    state = existing(deployment)
    if not 0 < share < 1:
        raise InputError(
            f"the canary's share is {share:g}", remedy="choose one between 0 and 1, such as 5%"
        )
    if state.canary not in (None, version_id):
        raise InputError(
            "another canary is running",
            remedy="end it first: ragdiag deploy promote, or ragdiag deploy rollback canary",
        )
    return replace(_beside(state, version_id), canary=version_id, share=share)


def start_shadow(deployment: Deployment | None, version_id: str) -> Deployment:
    """Let ``version_id`` answer unseen, in place of any other shadow."""
    return replace(_beside(existing(deployment), version_id), shadow=version_id)


def promote(deployment: Deployment | None) -> Deployment:
    """The canary, else the shadow, becomes production, and whatever else was compared with the old
    one ends. Raises InputError without either."""
    state = existing(deployment)
    chosen = state.canary if candidate(state) == "canary" else state.shadow
    return Deployment(production=str(chosen), previous=state.production)


def roll_back(deployment: Deployment | None, side: Side) -> Deployment:
    """End the canary or the shadow, or give production back to the version before.

    Raises InputError where there is nothing to end or to go back to.
    """
    state = existing(deployment)
    match side:
        case "canary" if state.canary is not None:
            return replace(state, canary=None, share=0.0)
        case "shadow" if state.shadow is not None:
            return replace(state, shadow=None)
        case "production" if state.previous is not None:
            return Deployment(production=state.previous)
    if side == "production":
        # A rollback leads one version back: an earlier one is judged anew.
        raise InputError(
            "production has no version before it to go back to",
            remedy="put the one you want beside it: ragdiag deploy canary VERSION --share 5%",
        )
    raise InputError(f"no {side} is running", remedy="see: ragdiag deploy status")


def candidate(deployment: Deployment) -> Side:
    """What may become production: the canary, else the shadow. Raises InputError."""
    if deployment.canary is not None:
        return "canary"
    if deployment.shadow is not None:
        return "shadow"
    raise InputError(
        "neither a canary nor a shadow is running",
        remedy="start one: ragdiag deploy canary VERSION --share 5%",
    )


def started_by(events: Sequence[DeploymentEvent], side: Side) -> DeploymentEvent | None:
    """The event that began what runs on ``side`` now: a canary, a shadow, or a promoted version
    that is watched. None where nothing does."""
    now = events[-1].deployment if events else None
    if now is None or getattr(now, side) is None:
        return None
    if side != "production":
        return next(event for event in reversed(events) if event.kind == side)
    began = events[-1]
    for event in reversed(events):
        if event.deployment.production != now.production:
            break
        began = event
    return began if "release_plan" in began.evidence else None


def existing(deployment: Deployment | None) -> Deployment:
    """Raises InputError where nothing has been deployed yet."""
    if deployment is None:
        raise InputError(
            "no version serves production yet", remedy="name one: ragdiag deploy set VERSION"
        )
    return deployment


def _beside(deployment: Deployment, version_id: str) -> Deployment:
    """Raises InputError where ``version_id`` is production itself."""
    if version_id == deployment.production:
        raise InputError("that version is production itself", remedy="name another version")
    return deployment
