"""What can be told of an index build without loading it: its files, its libraries, its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

from ragdiag.errors import IndexFault, ModelError
from ragdiag.records import Finding
from ragdiag.retrieval.adapters import check_adapters
from ragdiag.retrieval.contract import embedder_contract
from ragdiag.retrieval.manifest import verified_manifest
from ragdiag.retrieval.models import model_identity
from ragdiag.settings import Workspace
from ragdiag.version import EmbedderSpec, Version

Manifest = Mapping[str, Any]
Measured = tuple[Finding, dict[str, Any]]
"""What was found, and the plain JSON of what was measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """The build that is looked at, and the version it is looked at for."""

    version: Version
    build_id: str

    def __str__(self) -> str:
        return f"build {self.build_id} of version {self.version.name}"

    @property
    def rebuild(self) -> str:
        return f"run: ragdiag index build {self.version.name}"


def look_at_manifest(workspace: Workspace, target: Target) -> tuple[Finding, Manifest | None]:
    """Every file by its SHA-256 (3 s a gigabyte), and that the build is one of this version's."""
    try:
        manifest = verified_manifest(workspace.indexes / target.build_id)
    except IndexFault as fault:
        return Finding(fault.message, "bad", target.rebuild, "manifest"), None
    if manifest["index_key"] != target.version.spec.index_key:
        what = f"{target} was made for another spec"
        return Finding(what, "bad", target.rebuild, "manifest"), None
    files = len(manifest["files"])
    what = f"all {files} files of {target} are as they were written"
    return Finding(what, "good", name="manifest"), manifest


def look_before_loading(workspace: Workspace, target: Target) -> list[Finding]:
    """The files and the model: where one is bad, the build cannot be opened."""
    found, manifest = look_at_manifest(workspace, target)
    contract = None if manifest is None else look_at_contract(manifest, target)
    return [found] if contract is None else [found, contract]


def look_at_libraries(manifest: Manifest, target: Target) -> Finding:
    """Index files outlive the libraries that wrote them."""
    moved = [
        f"{name} {written} wrote it, {found} reads it"
        for name, written in manifest["libraries"].items()
        if (found := _installed(name)) != written
    ]
    if moved:
        remedy = "nothing while the other checks are good; else: pip install -r requirements.txt"
        return Finding(f"{target}: {'; '.join(moved)}", "warn", remedy, "libraries")
    return Finding(f"the libraries that wrote {target} read it", "good", name="libraries")


def look_at_contract(manifest: Manifest, target: Target) -> Finding | None:
    """Whether questions are embedded by what embedded the passages; None for a lexical build."""
    spec, dense = target.version.spec.embedder, manifest["dense"]
    if spec is None or dense is None:
        return None
    try:
        present = model_identity(spec)
        check_adapters(spec)
    except ModelError as error:
        return Finding(error.message, "bad", error.remedy, "contract")
    if dense["ntotal"] != manifest["passages"]:
        what = f"{target} has {dense['ntotal']} vectors of {manifest['passages']} passages"
        return Finding(what, "bad", target.rebuild, "contract")
    if present != dense["model_hash"]:
        what = f"{spec.model} has changed since {target} ({_changes(dense, spec)})"
        return Finding(what, "bad", target.rebuild, "contract")
    what = f"{spec.model} is the model that embedded {target} (hash {present})"
    return Finding(what, "good", name="contract")


def _changes(dense: Mapping[str, Any], spec: EmbedderSpec) -> str:
    """What the contract says that the hash only hides; builds before it was kept say nothing."""
    before, now = dense.get("contract", {}), embedder_contract(spec)
    told = [f"{name} {was} → {now[name]}" for name, was in before.items() if now[name] != was]
    return ", ".join(told) or "its files"


def _installed(name: str) -> str:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return "nothing"
