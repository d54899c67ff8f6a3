"""Build a version's index from the corpus as it stands."""

from __future__ import annotations

from ragdiag.progress import Progress
from ragdiag.records import IndexBuild
from ragdiag.retrieval.builds import build_index
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_passages
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_build
from ragdiag.version import Version


def build_version_index(
    lake: Lake, workspace: Workspace, version: Version, progress: Progress | None = None
) -> IndexBuild:
    """Index every current passage for ``version`` and make it the build that serves.

    A build of the same settings over the same content is reused; embeddings come from the cache
    where another version has made them. Raises IndexFault on an empty corpus.
    """
    build = build_index(load_passages(lake), version.spec, workspace, progress)
    save_build(lake, build)
    return build
