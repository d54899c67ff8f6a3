"""How far a build lags behind the corpus, by count and by share."""

from __future__ import annotations

from ragdiag.deploy import freshness
from ragdiag.deploy.freshness import compare_contents, look_at_freshness
from ragdiag.deploy.soundness import Target
from ragdiag.records import Passage
from ragdiag.retrieval.builds import build_ids
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, load_contents, remove_documents
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from tests.stocked import Build


def plain(built: dict[str, str], corpus: dict[str, str]) -> tuple[set[str], set[str], set[str]]:
    """The definition, one passage at a time."""
    missing = {one for one in corpus if one not in built}
    ghosts = {one for one in built if one not in corpus}
    changed = {one for one in built if one in corpus and built[one] != corpus[one]}
    return missing, changed, ghosts


def test_kinds_and_shares_agree_with_their_definition() -> None:
    built = {f"p{n}": str(n) for n in range(200)}
    corpus = {f"p{n}": str(n if n % 50 else n + 1) for n in range(3, 204)}
    found = compare_contents(built, corpus)
    kinds = (set(found.missing), set(found.changed), set(found.ghosts))
    assert kinds == plain(built, corpus)
    assert [len(kind) for kind in kinds] == [4, 3, 3]
    assert found.share == 10 / 204
    assert compare_contents({}, {}).share == 0


def test_what_changed_since_the_build_is_counted_and_named(
    corpus: Lake, workspace: Workspace, build: Build, version: Version
) -> None:
    target = Target(version, build().build_id)
    pairs = build_ids(workspace, target.build_id)
    finding, measured = look_at_freshness(corpus, target, pairs)
    assert (finding.status, measured["share"]) == ("good", 0)
    assert "has all 8 passages" in finding.what
    remove_documents(corpus, ["cats"])
    fresh = [Passage("rust", "rust", "Rust is iron oxide."), Passage("tea", "tea", "Hot water.")]
    add_documents(corpus, fresh)
    finding, measured = look_at_freshness(corpus, target, pairs)
    assert finding.status == "bad"
    assert "1 of 8 passages missing, 1 changed, 1 removed since" in finding.what
    assert finding.remedy == "run: ragdiag index build lexical"
    assert measured["such_as"] == {"missing": ["rust"], "changed": ["tea"], "ghosts": ["cats"]}


def test_little_is_a_warning(
    corpus: Lake, build: Build, version: Version, workspace: Workspace, monkeypatch
) -> None:
    target = Target(version, build().build_id)
    pairs = build_ids(workspace, target.build_id)
    remove_documents(corpus, ["cats"])
    assert len(load_contents(corpus)) == 7
    monkeypatch.setattr(freshness, "STALE_SHARE", 1 / 8)
    assert look_at_freshness(corpus, target, pairs)[0].status == "warn"
