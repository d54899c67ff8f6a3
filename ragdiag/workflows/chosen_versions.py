"""Versions that come of choosing a setting: their names, and what is said of them."""

from __future__ import annotations

from ragdiag.errors import InputError
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_versions, save_version
from ragdiag.version import Spec, Version


def refuse_others_name(lake: Lake, name: str | None, version: Version, part: str) -> None:
    """Before a setting of ``part`` is chosen for ``version``, to be kept as ``name``: raises
    InputError where that is a version which differs from it in more than ``part``."""
    for known in list_versions(lake):
        if known.name == name:
            own = {part: getattr(version.spec, part)}
            if known.spec.model_copy(update=own) != version.spec:
                raise InputError(
                    f"the version {name} already has another spec ({known.version_id})",
                    remedy="choose another name with --save-as: a version never changes",
                )


def save_spec(lake: Lake, name: str | None, spec: Spec) -> Version | None:
    """The version that has ``spec``: the one there is already, else one called ``name`` from now
    on; None where none is asked for. Raises InputError where ``name`` is another version's."""
    if name is None:
        return None
    version = Version(name, spec)
    for known in list_versions(lake):
        if known.version_id == version.version_id:
            return known
    save_version(lake, version)
    return version


def saved_line(version: Version, saved: Version) -> str:
    """What became of the setting chosen for ``version``."""
    if saved.version_id == version.version_id:
        return f"version {version.name} has this setting already"
    return f"saved as version {saved.name}"
