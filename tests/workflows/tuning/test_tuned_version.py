"""The index of a tuned version: its own beside production's, or the very one that serves."""

from __future__ import annotations

import pytest

from ragdiag.errors import TrainingError
from ragdiag.records import Passage, Question
from ragdiag.retrieval.builds import build_ids
from ragdiag.retrieval.fusion_tuning import Evidence
from ragdiag.retrieval.serving import serving_build_id
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, remove_documents
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_builds, save_version
from ragdiag.version import LexicalSpec, Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index, roll_back_index
from ragdiag.workflows.tuning import tuned_version
from ragdiag.workflows.tuning.tuned_change import HeldOut
from ragdiag.workflows.tuning.tuned_version import build_tuned_index, reweighed, same_passages

NEWS = Passage("news", "news", "A notice of nothing in particular.")


@pytest.fixture
def built(corpus: Lake, workspace: Workspace, version: Version) -> str:
    return build_version_index(corpus, workspace, version).build_id


def test_what_serves_production_stays_what_an_operator_made_it(
    corpus: Lake, workspace: Workspace, version: Version, built: str
) -> None:
    add_documents(corpus, [NEWS])
    build_version_index(corpus, workspace, version)
    roll_back_index(corpus, workspace, version, by="operator")
    context = version.spec.context.model_copy(update={"k": 2})
    tuned = Version("tuned", version.spec.model_copy(update={"context": context}))
    build_tuned_index(corpus, workspace, version, tuned)
    assert serving_build_id(corpus, workspace, version.spec.index_key) == built
    assert len(list_builds(corpus, version.spec.index_key)) == 2


def test_an_index_of_its_own_holds_what_serves_and_is_still_in_the_corpus(
    corpus: Lake, workspace: Workspace, version: Version, built: str
) -> None:
    add_documents(corpus, [NEWS])
    remove_documents(corpus, ["moon"])
    tuned = own_index(version)
    build_tuned_index(corpus, workspace, version, tuned)
    build = serving_build_id(corpus, workspace, tuned.spec.index_key)
    assert build is not None
    held, served = (dict(build_ids(workspace, one)) for one in (build, built))
    assert held == {name: content for name, content in served.items() if name != "moon"}
    with same_passages(corpus, workspace, version, tuned):
        pass


def test_what_differs_by_more_than_tuning_is_not_compared(
    corpus: Lake, workspace: Workspace, version: Version, built: str
) -> None:
    tuned = own_index(version)
    build_tuned_index(corpus, workspace, version, tuned)
    add_documents(corpus, [NEWS])
    with (
        pytest.raises(TrainingError, match="cannot be compared; start the same command"),
        same_passages(corpus, workspace, version, tuned),
    ):
        build_version_index(corpus, workspace, version)
    with (
        pytest.raises(TrainingError, match="another index has begun to serve"),
        same_passages(corpus, workspace, version, tuned),
    ):
        pytest.fail("they hold other passages")


@pytest.mark.slow
def test_paths_are_weighed_by_what_each_version_ranks_unlearnt(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = [
        Passage("tea", "tea", "Tea is picked by hand."), Passage("oak", "oak", "An oak is a tree."),
        NEWS,
    ]  # fmt: skip
    add_documents(lake, passages)
    tables = "[embedder]\n[lexical]\n[fusion]\nkind = 'convex'\nalpha = 0.35\n"
    one = Version("one", parse_spec(tables + "[generator]\nkind = 'extractive'", source="toy"))
    other = own_index(one)
    for version, held in ((one, passages), (other, passages[1:])):
        save_version(lake, version)
        build_version_index(lake, workspace, version, passages=held)
    heard: list[tuple[list[bool], list[str]]] = []

    def adjusted(evidence: list[Evidence], alpha: float, owners: list[str]) -> float:
        heard.append(([bool(found.relevant.any()) for found in evidence], owners))
        return alpha + 0.15

    monkeypatch.setattr(tuned_version, "adjust_alpha", adjusted)
    asked = [(version, asking("tea", "oak")) for version in (one, other)]
    assert reweighed(lake, workspace, one, asked).spec.fusion.alpha == 0.35, "two are too few"
    monkeypatch.setattr(tuned_version, "LABELS_NEEDED", 2)
    assert reweighed(lake, workspace, one, asked).spec.fusion.alpha == 0.5
    assert heard == [([True, True, False, True], ["tea", "oak", "tea", "oak"])]


def asking(*names: str) -> HeldOut:
    questions = [Question(name, f"What of {name}?") for name in names]
    golds = {name: {name: 1} for name in names}
    return HeldOut("dev", questions, golds, {name: name for name in names})


def own_index(version: Version) -> Version:
    """Stands for a tuned version whose passages are encoded anew."""
    return Version("tuned", version.spec.model_copy(update={"lexical": LexicalSpec(title=False)}))
