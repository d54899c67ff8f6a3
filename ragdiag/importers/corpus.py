"""Documents of one's own: a JSONL file, or a folder of .txt, .md and .html files, cut to passages.

    JSONL    {"id" or "_id", "title"?, "text", "metadata"?}   one document a line; see metadata.py
    folder   searched to its depths; a document's id is its path within the folder, its title the
             file's name without suffix

Documents that exist are replaced as a whole; others stay (``store.corpus.remove_documents`` takes
them out).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import AliasChoices, Field

from ragdiag.errors import InputError
from ragdiag.importers.jsonl import Identifier, Row, Text, read_rows
from ragdiag.importers.metadata import MetadataRow, read_metadata
from ragdiag.importers.report import ImportReport, Origin, keep_rejects, load_documents, source_name
from ragdiag.progress import Progress, part, report
from ragdiag.records import NO_METADATA, Passage, PassageMetadata, Reject
from ragdiag.retrieval.text import chunk_document, load_tokenizer, plain_text
from ragdiag.store.lake import Lake
from ragdiag.version import PACKAGED_MODEL

DOCUMENT_SUFFIXES = frozenset({".txt", ".md", ".markdown", ".html", ".htm"})
JSONL_SUFFIXES = frozenset({".jsonl", ".ndjson"})
MAX_FILE_BYTES = 50_000_000
MAX_TOKENS = 200
"""Leaves an encoder of 256 tokens room for a title."""


class _DocumentRow(Row):
    id: Identifier = Field(validation_alias=AliasChoices("id", "_id"))
    title: str | None = None
    text: Text
    metadata: MetadataRow | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document's plain text and where it came from."""

    document_id: str
    title: str
    text: str
    origin: Origin
    metadata: PassageMetadata = NO_METADATA


def import_corpus(
    lake: Lake,
    path: Path,
    *,
    max_tokens: int = MAX_TOKENS,
    model: str = PACKAGED_MODEL,
    progress: Progress | None = None,
) -> ImportReport:
    """Load the documents at ``path``, cut at sentence ends into passages of at most
    ``max_tokens`` tokens of ``model``'s own tokenizer.

    A bad line or file becomes a reject and the rest is loaded, in one transaction; importing the
    same again changes nothing. Raises InputError where ``path`` is missing or of no known kind,
    ModelError where ``model`` has no tokenizer.
    """
    tokenizer = load_tokenizer(model)
    report(progress, 0.0, "reading documents")
    documents, rejects, skipped = _read_documents(path)
    passages: list[Passage] = []
    origins: list[Origin] = []
    cutting = part(progress, 0.1, 0.8)
    for n, document in enumerate(documents):
        cutting(n / len(documents), f"cut {n} of {len(documents)} documents")
        pieces = chunk_document(
            document.document_id, document.text, document.title, max_tokens, tokenizer
        )
        passages += [replace(piece, metadata=document.metadata) for piece in pieces]
        origins += [document.origin] * len(pieces)
    report(progress, 0.8, f"loading {len(passages)} passages")
    loaded, refused = load_documents(lake, passages, origins)
    rejected = keep_rejects(lake, [*rejects, *refused])
    report(progress, 1.0, "imported")
    return replace(loaded, skipped=skipped, rejects=rejected)


def _read_documents(path: Path) -> tuple[list[Document], list[Reject], int]:
    """Documents, rejects and the number of files skipped."""
    if path.is_dir():
        files, skipped = _find_files(path)
        return (*_read_files(files, path), skipped)
    if not path.is_file():
        raise InputError(f"there is no file or folder {path}", remedy="name one that exists")
    if path.suffix.lower() in JSONL_SUFFIXES:
        rows, rejects = read_rows(path, _DocumentRow, key=lambda row: row.id)
        documents = [
            Document(
                one.row.id,
                one.row.title or "",
                one.row.text,
                one.origin,
                read_metadata(one.row.metadata),
            )
            for one in rows
        ]
        return documents, rejects, 0
    if path.suffix.lower() in DOCUMENT_SUFFIXES:
        return (*_read_files([path], path.parent), 0)
    raise InputError(
        f"{path} is neither JSONL nor one of {', '.join(sorted(DOCUMENT_SUFFIXES))}",
        remedy="name a .jsonl file, a document, or a folder of documents",
    )


def _find_files(folder: Path) -> tuple[list[Path], int]:
    """Documents in path order, and how many other files there are.

    Links that leave the folder, and pipes and devices, which would block a reader, are not
    followed. Raises InputError where a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise InputError(
            f"cannot list {error.filename} ({error.strerror})", remedy="make it readable"
        )

    root = folder.resolve()
    wanted, skipped = [], 0
    for where, _, names in os.walk(folder, onerror=refuse):
        for path in (Path(where, name) for name in names):
            inside = path.is_file() and path.resolve().is_relative_to(root)
            if inside and path.suffix.lower() in DOCUMENT_SUFFIXES:
                wanted.append(path)
            else:
                skipped += 1
    return sorted(wanted), skipped


def _read_files(files: Iterable[Path], root: Path) -> tuple[list[Document], list[Reject]]:
    documents: list[Document] = []
    rejects: list[Reject] = []
    for one in _each_file(files, root):
        if isinstance(one, Reject):
            rejects.append(one)
        else:
            documents.append(one)
    return documents, rejects


def _each_file(files: Iterable[Path], root: Path) -> Iterator[Document | Reject]:
    for path in files:
        origin = Origin(source_name(path))
        text = _read_text(path)
        if isinstance(text, _Fault):
            yield origin.reject(text.reason)
            continue
        name = path.relative_to(root).as_posix()
        if not name.isprintable():
            yield origin.reject("its name has a character that cannot be seen")
        elif not text.strip():
            yield origin.reject("it holds no text")
        else:
            yield Document(name, path.stem, text, origin)


@dataclass(frozen=True, slots=True)
class _Fault:
    reason: str


def _read_text(path: Path) -> str | _Fault:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return _Fault(f"larger than {MAX_FILE_BYTES // 1_000_000} MB")
        return plain_text(path.read_bytes().decode("utf-8"), path.suffix)
    except UnicodeDecodeError as error:
        return _Fault(f"not UTF-8 at byte {error.start + 1}")
    except OSError as error:
        return _Fault(f"cannot be read ({error.strerror})")
    except AssertionError as error:  # how html.parser refuses a declaration it does not know
        return _Fault(f"not HTML that can be read ({error})")
