"""Own documents: JSONL and folders, cut into passages that are found again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.errors import InputError, ModelError
from ragdiag.importers import corpus
from ragdiag.importers.corpus import import_corpus
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.store.corpus import load_passages, remove_documents
from ragdiag.store.lake import Lake

WriteLines = Callable[..., Path]
LONG = " ".join(f"Sentence number {n} says something short." for n in range(40))


def reasons(lake: Lake, path: Path) -> list[tuple[str, int, str]]:
    rejects = import_corpus(lake, path).rejects
    return [(Path(r.source).name, r.line, r.reason) for r in rejects]


def test_jsonl_documents_are_cut_at_sentence_ends(lake: Lake, write_lines: WriteLines) -> None:
    path = write_lines(
        "docs.jsonl",
        {"id": "long", "title": "Long", "text": LONG},
        {"_id": "short", "text": "One sentence."},
    )
    report = import_corpus(lake, path, max_tokens=60)
    passages = load_passages(lake)
    long = [passage for passage in passages if passage.document_id == "long"]
    assert (report.documents, report.passages) == (2, len(passages))
    assert [passage.passage_id for passage in long] == [f"long#{n}" for n in range(len(long))]
    assert " ".join(passage.text for passage in long) == LONG
    assert all(passage.title == "Long" and passage.text.endswith(".") for passage in long)
    assert 1 < max(load_tokenizer().count(passage.text) for passage in long) <= 60


def test_a_folder_is_read_to_its_depths(lake: Lake, tmp_path: Path) -> None:
    root = tmp_path / "docs"
    (root / "deep/er").mkdir(parents=True)
    (root / "plain.txt").write_text("Plain text.")
    (root / "deep/mark.MD").write_text("# Head\n\nSome **bold** words.")
    (root / "deep/er/page.html").write_text("<head><title>T</title></head><p>A <i>page</i>.</p>")
    (root / "image.png").write_bytes(b"\x89PNG")
    report = import_corpus(lake, root)
    assert {p.document_id: (p.title, p.text) for p in load_passages(lake)} == {
        "plain.txt": ("plain", "Plain text."),
        "deep/mark.MD": ("mark", "Head\n\nSome bold words."),
        "deep/er/page.html": ("page", "A page."),
    }
    assert (report.documents, report.passages, report.skipped) == (3, 3, 1)
    assert report.rejects == ()


def test_importing_again_changes_nothing_and_an_edit_replaces(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "docs" / name).write_text(f"Text of {name}. {LONG}")
    first = import_corpus(lake, tmp_path / "docs", max_tokens=60)
    snapshot = lake.snapshot()
    again = import_corpus(lake, tmp_path / "docs", max_tokens=60)
    assert lake.snapshot() == snapshot
    assert (again.added, again.unchanged) == (0, first.passages)
    (tmp_path / "docs/a.txt").write_text("Now short.")
    edited = import_corpus(lake, tmp_path / "docs", max_tokens=60)
    assert (edited.replaced, edited.removed) == (1, first.passages // 2 - 1)
    assert [p.text for p in load_passages(lake) if p.document_id == "a.txt"] == ["Now short."]
    assert remove_documents(lake, ["a.txt"]) == 1
    assert {p.document_id for p in load_passages(lake)} == {"b.txt"}


def test_one_document_file(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "only.md").write_text("Just this.")
    import_corpus(lake, tmp_path / "only.md")
    assert [p.passage_id for p in load_passages(lake)] == ["only.md#0"]


BAD_LINES: list[tuple[object, str]] = [
    ("{", "not JSON"),
    ({"text": "no id"}, "id is missing"),
    ({"id": "x"}, "text is missing"),
    ({"id": "x", "text": ""}, "text: empty"),
    ({"id": "good", "text": "again"}, "duplicate id 'good', first on line 1"),
]


def test_bad_lines_are_rejected_and_the_rest_loads(lake: Lake, write_lines: WriteLines) -> None:
    good, last = {"id": "good", "text": "Good."}, {"id": "last", "text": "Last."}
    path = write_lines("docs.jsonl", good, *(line for line, _ in BAD_LINES), last)
    found = reasons(lake, path)
    assert [(name, line) for name, line, _ in found] == [("docs.jsonl", n) for n in range(2, 7)]
    for (_, expected), (_, _, told) in zip(BAD_LINES, found, strict=True):
        assert expected in told
    assert [p.document_id for p in load_passages(lake)] == ["good", "last"]


BAD_FILES = {
    "bad.txt": (b"caf\xe9", "not UTF-8 at byte 4"),
    "empty.md": (b" \n", "it holds no text"),
    "odd.html": (b"<![nonsense[ x ]]>", "not HTML that can be read"),
    "silent.html": (b"<script>x()</script>", "it holds no text"),
    "tab\there.txt": (b"x", "its name has a character that cannot be seen"),
}


def test_bad_files_are_rejected_and_the_rest_loads(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/good.txt").write_text("Good.")
    for name, (content, _) in BAD_FILES.items():
        (tmp_path / "docs" / name).write_bytes(content)
    found = reasons(lake, tmp_path / "docs")
    assert [(name, line) for name, line, _ in found] == [(name, 0) for name in sorted(BAD_FILES)]
    for name, _, told in found:
        assert BAD_FILES[name][1] in told
    assert [p.document_id for p in load_passages(lake)] == ["good.txt"]


def test_a_name_of_wild_bytes_is_rejected(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    path = os.fsencode(tmp_path / "docs") + b"/caf\xe9.txt"
    with open(path, "wb") as file:
        file.write(b"Text.")
    ((source, _, told),) = reasons(lake, tmp_path / "docs")
    assert source == "caf\N{REPLACEMENT CHARACTER}.txt"
    assert "its name" in told


def test_a_file_too_large_is_rejected(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "MAX_FILE_BYTES", 2_000_000)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/large.txt").write_bytes(b"x " * 1_000_001)
    assert reasons(lake, tmp_path / "docs") == [("large.txt", 0, "larger than 2 MB")]


def test_links_out_of_the_folder_and_pipes_are_not_followed(lake: Lake, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("Not for the corpus.")
    root = tmp_path / "docs"
    root.mkdir()
    (root / "own.txt").write_text("Own.")
    (root / "link.txt").symlink_to(secret)
    (root / "outside").symlink_to(tmp_path, target_is_directory=True)
    (root / "loop.txt").symlink_to(root / "loop.txt")
    os.mkfifo(root / "pipe.txt")
    report = import_corpus(lake, root)
    assert [p.text for p in load_passages(lake)] == ["Own."]
    assert report.skipped == 3


@pytest.mark.parametrize(
    ("name", "told"), [("missing", "there is no file or folder"), ("table.csv", "neither JSONL")]
)
def test_a_path_that_cannot_be_read_is_named(
    lake: Lake, tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.raises(InputError, match=told) as caught:
        import_corpus(lake, tmp_path / name)
    assert name in str(caught.value)


def test_a_model_without_tokenizer_is_named(lake: Lake, write_lines: WriteLines) -> None:
    path = write_lines("docs.jsonl", {"id": "a", "text": "A."})
    with pytest.raises(ModelError, match="no/model"):
        import_corpus(lake, path, model="no/model")


def test_progress_ends_at_one(lake: Lake, write_lines: WriteLines) -> None:
    told: list[float] = []
    path = write_lines("docs.jsonl", {"id": "a", "text": "A."}, {"id": "b", "text": "B."})
    import_corpus(lake, path, progress=lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0
