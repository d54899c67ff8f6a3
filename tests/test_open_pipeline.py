"""A version as a workspace has it: its parts, and what has left the corpus since it was built."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from ragdiag.errors import IndexFault
from ragdiag.pipeline import open_pipeline, serving_index, serving_passages
from ragdiag.records import Passage, PassageMetadata
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.retrieval.manifest import MANIFEST
from ragdiag.retrieval.serving import pointer_path
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, remove_documents
from ragdiag.store.lake import Lake
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index, publish_index

VERSION = Version("words", parse_spec("[lexical]\n[generator]\nkind='extractive'", source="toy"))


def test_a_removed_document_is_not_found_although_the_index_has_it(
    lake: Lake, workspace: Workspace
) -> None:
    tea = Passage("tea#0", "tea", "Green tea is brewed at eighty degrees.")
    add_documents(lake, [tea, Passage("cats#0", "cats", "Cats sleep for most of the day.")])
    build_version_index(lake, workspace, VERSION)
    found = open_pipeline(lake, workspace, VERSION).retriever.retrieve("How is green tea brewed?")
    assert [hit.passage_id for hit in found.fused] == ["tea#0"]
    remove_documents(lake, ["tea"])
    index = serving_index(lake, workspace, VERSION)
    findable = index.findable(STRANGER)
    assert findable is not None
    assert dict(zip(index.passage_ids, findable, strict=True)) == {"tea#0": False, "cats#0": True}
    found = open_pipeline(lake, workspace, VERSION).retriever.retrieve("How is green tea brewed?")
    assert found.fused == ()
    add_documents(lake, [tea])
    found = open_pipeline(lake, workspace, VERSION).retriever.retrieve("How is green tea brewed?")
    assert [hit.passage_id for hit in found.fused] == ["tea#0"]


def test_a_history_that_cannot_be_read_names_the_one_way_out_which_works(
    lake: Lake, workspace: Workspace
) -> None:
    add_documents(lake, [Passage("tea#0", "tea", "Green tea is brewed at eighty degrees.")])
    build_version_index(lake, workspace, VERSION)
    pointer = pointer_path(workspace, VERSION.spec.index_key)
    pointer.write_text("{")
    for opened in (open_pipeline, serving_index, serving_passages):
        with pytest.raises(
            IndexFault, match="move it away and publish again: ragdiag index publish words"
        ) as caught:
            opened(lake, workspace, VERSION)
        assert "rollback" not in str(caught.value)
    pointer.unlink()
    publish_index(lake, workspace, VERSION, by="test")
    assert open_pipeline(lake, workspace, VERSION).ask("How is tea brewed?").citations


def test_a_damaged_build_leads_back_only_where_an_earlier_one_is_on_disk(
    lake: Lake, workspace: Workspace
) -> None:
    def told() -> str:
        with pytest.raises(IndexFault, match="it serves version words") as caught:
            open_pipeline(lake, workspace, VERSION)
        return str(caught.value)

    add_documents(lake, [Passage("tea#0", "tea", "Green tea is brewed at eighty degrees.")])
    first = build_version_index(lake, workspace, VERSION)
    manifest = workspace.indexes / first.build_id / MANIFEST
    sound = manifest.read_bytes()
    manifest.write_text("{")
    assert told().endswith("; build it again: ragdiag index build words")
    manifest.write_bytes(sound)
    add_documents(lake, [Passage("cats#0", "cats", "Cats sleep for most of the day.")])
    second = build_version_index(lake, workspace, VERSION)
    (workspace.indexes / second.build_id / MANIFEST).write_text("{")
    assert told().endswith("or go back to the build before: ragdiag index rollback words")
    shutil.rmtree(manifest.parent)
    assert "rollback" not in told()


def test_whose_a_passage_is_holds_from_the_next_opening_without_a_new_build(
    lake: Lake, workspace: Workspace
) -> None:
    tea = Passage("tea#0", "tea", "Green tea is brewed at eighty degrees.")
    add_documents(lake, [tea])
    build_version_index(lake, workspace, VERSION)

    def asked(only: PassageFilter = STRANGER) -> list[str]:
        request = open_pipeline(lake, workspace, VERSION).ask("How is tea brewed?", only=only)
        return [hit.passage_id for hit in request.fused]

    assert asked() == ["tea#0"]
    add_documents(lake, [replace(tea, metadata=PassageMetadata(tenant="acme"))])
    assert asked() == []
    assert asked(PassageFilter(tenant="acme")) == ["tea#0"]


HR, IT = (PassageFilter(roles=frozenset({role})) for role in ("hr", "it"))


@pytest.mark.parametrize(
    ("before", "after", "readers"),
    [
        (PassageMetadata(), PassageMetadata(roles=("hr",)), [HR]),
        (PassageMetadata(roles=("hr",)), PassageMetadata(), [HR]),
        (PassageMetadata(roles=("hr",)), PassageMetadata(roles=("it",)), []),
        (PassageMetadata(), PassageMetadata(topic="drinks"), [STRANGER, HR, IT]),
    ],
    ids=["restricted", "published", "moved", "told the topic"],
)
def test_a_replaced_text_is_for_those_who_may_read_it_and_its_successor(
    before: PassageMetadata,
    after: PassageMetadata,
    readers: list[PassageFilter],
    lake: Lake,
    workspace: Workspace,
) -> None:
    tea = Passage("tea#0", "tea", "Green tea costs ninety a pound.", metadata=before)
    add_documents(lake, [tea, Passage("cats#0", "cats", "Cats sleep for most of the day.")])
    build_version_index(lake, workspace, VERSION)
    add_documents(lake, [replace(tea, text="Prices are not for everybody.", metadata=after)])
    pipeline = open_pipeline(lake, workspace, VERSION)
    found = [
        only
        for only in (STRANGER, HR, IT)
        if pipeline.retriever.retrieve("What does green tea cost?", only=only).fused
    ]
    assert found == readers
