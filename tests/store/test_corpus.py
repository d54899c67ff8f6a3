from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ragdiag.errors import StoreError
from ragdiag.records import Passage, PassageMetadata
from ragdiag.store.corpus import (
    CorpusChange,
    add_documents,
    corpus_hash,
    load_build_passages,
    load_passages,
    load_passages_by_id,
    load_successor_metadata,
    remove_documents,
    removed_passages,
)
from ragdiag.store.lake import Lake

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
KNOWN = PassageMetadata("acme", "cats", AT, ("staff", "vet"))


def times(lake: Lake) -> dict[str, list[tuple[bool, object]]]:
    """Passage → its rows, oldest first: whether it is current, and when it was ingested."""
    found: dict[str, list[tuple[bool, object]]] = {}
    for row in lake.rows(
        "select passage_id, removed_at is null as current, ingested_at from passages "
        "order by ingested_at, removed_at"
    ):
        found.setdefault(row["passage_id"], []).append((row["current"], row["ingested_at"]))
    return found


def test_documents_are_added_and_come_back_in_order(lake: Lake, cats: list[Passage]) -> None:
    tea = Passage("tea#0", "a tea", "Green tea.", position=0)
    assert add_documents(lake, [*cats[::-1], tea]) == CorpusChange(4, 0, 0, 0)
    assert load_passages(lake) == [tea, *cats]
    assert add_documents(lake, []) == CorpusChange(0, 0, 0, 0)


def test_adding_again_changes_no_row(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats)
    before = times(lake)
    assert add_documents(lake, cats) == CorpusChange(0, 0, 0, unchanged=3)
    assert times(lake) == before


def test_a_document_is_replaced_as_a_whole(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, [*cats, Passage("tea#0", "tea", "Green tea.")])
    before = times(lake)
    changed = replace(cats[1], text="They hunt at dawn.")
    fourth = Passage("cats#3", "cats", "They climb.", "Cats", 3)
    change = add_documents(lake, [cats[0], changed, fourth])
    assert change == CorpusChange(added=1, replaced=1, removed=1, unchanged=1)
    assert [one.text for one in load_passages(lake)] == [
        cats[0].text,
        changed.text,
        fourth.text,
        "Green tea.",
    ]
    after = times(lake)
    assert after["cats#0"] == before["cats#0"]
    assert after["tea#0"] == before["tea#0"]
    ((_, first_ingested),) = before["cats#1"]
    assert [current for current, _ in after["cats#1"]] == [False, True]
    assert after["cats#1"][0][1] == first_ingested
    assert after["cats#2"] == [(False, before["cats#2"][0][1])]


def test_without_replace_the_rest_of_the_document_stays(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats[:2])
    changed = replace(cats[0], text="Cats sleep a lot.")
    change = add_documents(lake, [changed, cats[2]], replace=False)
    assert change == CorpusChange(added=1, replaced=1, removed=0, unchanged=0)
    assert load_passages(lake) == [changed, cats[1], cats[2]]


def test_a_moved_passage_keeps_its_ingest_time(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats)
    before = times(lake)
    moved = [replace(one, position=2 - one.position) for one in cats]
    assert add_documents(lake, moved) == CorpusChange(0, 0, 0, unchanged=3)
    assert load_passages(lake) == moved[::-1]
    assert times(lake) == before


def test_metadata_come_back_and_a_change_of_them_is_a_change(
    lake: Lake, cats: list[Passage]
) -> None:
    tagged = [replace(one, metadata=KNOWN) for one in cats[:2]] + cats[2:]
    add_documents(lake, cats)
    assert add_documents(lake, tagged) == CorpusChange(0, replaced=2, removed=0, unchanged=1)
    assert load_passages(lake) == tagged
    assert add_documents(lake, tagged) == CorpusChange(0, 0, 0, unchanged=3)
    pairs = [(one.passage_id, one.content_hash) for one in cats]
    assert load_build_passages(lake, pairs) == tagged
    assert load_passages_by_id(lake, ["cats#1"]) == {"cats#1": tagged[1]}


def test_a_passage_may_move_between_documents_of_one_call(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats)
    adopted = replace(cats[2], document_id="pets", position=0)
    change = add_documents(lake, [*cats[:2], adopted])
    assert change == CorpusChange(added=0, replaced=1, removed=0, unchanged=2)
    assert load_passages(lake) == [*cats[:2], adopted]


def test_bad_passages_are_rejected_with_their_number(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats[:1])
    offered = [
        Passage("dogs#0", "dogs", "Dogs bark."),
        Passage("dogs#0", "dogs", "Dogs bite."),
        Passage("dogs#1", "dogs", " \n"),
        Passage("", "dogs", "No id."),
        Passage("dogs#2", "", "No document."),
        Passage("cats#0", "dogs", "Stolen id."),
        Passage("dogs#3", "dogs", "A lone surrogate: \ud800"),
        Passage("dogs#4", "dogs", "x", metadata=PassageMetadata(tenant="a\0b")),
        Passage("dogs#5", "dogs", "x", metadata=replace(KNOWN, published_at=datetime(2026, 1, 1))),
    ]
    change = add_documents(lake, offered)
    assert (change.added, change.replaced, change.removed) == (1, 0, 0)
    assert [(reject.line, reject.reason) for reject in change.rejects] == [
        (2, "duplicate passage id"),
        (3, "empty text"),
        (4, "empty passage id"),
        (5, "empty document id"),
        (6, "the passage id belongs to the document 'cats'"),
        (7, "not valid Unicode (a lone surrogate or a NUL)"),
        (8, "not valid Unicode (a lone surrogate or a NUL)"),
        (9, "published_at has no time zone"),
    ]
    assert [one.text for one in load_passages(lake)] == [cats[0].text, "Dogs bark."]


def test_a_document_whose_passages_are_all_rejected_stays(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats)
    change = add_documents(lake, [replace(cats[0], text="")])
    assert (change.removed, len(change.rejects)) == (0, 1)
    assert load_passages(lake) == cats


def test_removing_and_adding_again_keeps_both_ingest_times(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats)
    assert remove_documents(lake, ["cats", "unknown"]) == 3
    assert load_passages(lake) == []
    assert remove_documents(lake, ["cats"]) == 0
    assert add_documents(lake, cats).added == 3
    rows = times(lake)["cats#0"]
    assert [current for current, _ in rows] == [False, True]
    assert rows[0][1] != rows[1][1]
    assert load_passages(lake) == cats


def test_a_passage_is_found_by_id_after_it_has_gone(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats)
    newer = replace(cats[0], text="Cats sleep a lot.")
    add_documents(lake, [newer])
    assert load_passages_by_id(lake, ["cats#0", "cats#1", "nowhere"]) == {
        "cats#0": newer,
        "cats#1": cats[1],
    }
    remove_documents(lake, ["cats"])
    assert load_passages_by_id(lake, ["cats#0"]) == {"cats#0": newer}


def test_a_build_gets_the_very_content_it_was_made_from(lake: Lake, cats: list[Passage]) -> None:
    add_documents(lake, cats)
    pairs = [(one.passage_id, one.content_hash) for one in cats[::-1]]
    add_documents(lake, [replace(cats[0], text="Cats sleep a lot.")])
    assert load_build_passages(lake, pairs) == cats[::-1]
    assert load_build_passages(lake, []) == []
    with pytest.raises(StoreError, match=r"'cats#1' is not in the lake.*index build"):
        load_build_passages(lake, [*pairs[:1], ("cats#1", "0" * 64)])


def test_the_hash_of_a_corpus_is_that_of_its_content(cats: list[Passage]) -> None:
    assert corpus_hash(cats) == corpus_hash(cats[::-1])
    assert corpus_hash(cats) != corpus_hash(cats[:2])
    assert corpus_hash(cats) != corpus_hash([replace(cats[0], title="Dogs"), *cats[1:]])
    assert corpus_hash(cats) == corpus_hash([replace(cats[0], position=9), *cats[1:]])
    seen = {corpus_hash(cats)}
    for change in ({"tenant": "a"}, {"topic": "a"}, {"roles": ("a",)}, {"published_at": AT}):
        seen.add(corpus_hash([replace(cats[0], metadata=PassageMetadata(**change)), *cats[1:]]))
    assert len(seen) == 5
    elsewhere = PassageMetadata(published_at=AT.astimezone(timezone(timedelta(hours=2))))
    assert corpus_hash([replace(cats[0], metadata=elsewhere), *cats[1:]]) in seen


def test_a_corpus_without_metadata_keeps_the_hash_that_its_builds_know(cats: list[Passage]) -> None:
    plain = "".join(f"{one.passage_id}\0{one.content_hash}\n" for one in cats)
    assert corpus_hash(cats) == hashlib.sha256(plain.encode()).hexdigest()


def test_a_large_corpus_is_one_quick_transaction(lake: Lake) -> None:
    passages = [
        Passage(f"d{n // 10}#{n % 10}", f"d{n // 10}", f"text {n}", "", n % 10)
        for n in range(20_000)
    ]
    before = lake.snapshot()
    assert add_documents(lake, passages).added == 20_000
    assert lake.snapshot() == before + 1
    assert add_documents(lake, passages[:5_000]).unchanged == 5_000


def test_what_has_left_the_corpus_is_told_from_what_has_changed(
    lake: Lake, cats: list[Passage]
) -> None:
    add_documents(lake, [*cats, Passage("tea#0", "tea", "Green tea.")])
    ids = [passage.passage_id for passage in cats]
    assert removed_passages(lake, [*ids, "tea#0"]) == set()
    add_documents(lake, [replace(cats[0], text="They sleep all day."), *cats[1:]])
    remove_documents(lake, ["tea"])
    assert removed_passages(lake, [*ids, "tea#0", "never"]) == {"tea#0", "never"}
    assert removed_passages(lake, []) == set()


def test_of_a_replaced_text_the_corpus_tells_whose_its_successor_is(
    lake: Lake, cats: list[Passage]
) -> None:
    add_documents(lake, cats)
    assert load_successor_metadata(lake, cats) == {}
    hr = PassageMetadata(roles=("hr",))
    changed = [replace(cats[0], metadata=hr), replace(cats[1], text="Redacted.", metadata=hr)]
    add_documents(lake, [*changed, *cats[2:]])
    assert load_successor_metadata(lake, cats) == {cats[1].passage_id: hr}
    remove_documents(lake, [cats[1].document_id])
    assert load_successor_metadata(lake, cats) == {}
