"""The ranked lists of a trace: which span fills which stage of a request.

- A retriever fills ``lexical`` or ``dense`` where ``ragdiag.stage``, its name or what it says of
  its store tells which; else ``fused``. One that holds other retrievers merges them: ``fused``.
- Several of one stage (an agent that searches again) are one list in the order of time, a passage
  once, where it came first.
- A retriever within one that merges gives ``fused`` nothing, nor does one around a reranker.
- A reranker fills ``reranked``, and ``fused`` with what it was given where no retriever does.
- ``context`` is what a model call states it was given (``input.documents``); else the retrieved
  texts found in the prompts, in their order there and cut where they end there; else, where no
  prompt or no text was recorded, or texts are not stored, the whole last list.
- One path alone is its own ``fused`` list. Of two paths whose merging was not recorded the context
  shows the order; where it does not, ``fused`` is empty and the request says why: no order is
  made up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from ragdiag.records import ContextHit, Hit
from ragdiag.spans.conventions import (
    GENAI_DOCUMENTS,
    INPUT_DOCUMENTS,
    OUTPUT_DOCUMENTS,
    RERANKER_INPUT,
    RERANKER_OUTPUT,
    RETRIEVED_DOCUMENTS,
)
from ragdiag.spans.documents import (
    LONGEST,
    Document,
    is_stand_in,
    is_text_id,
    read_all,
    read_documents,
    read_results,
    to_hits,
)
from ragdiag.spans.messages import read_messages
from ragdiag.spans.nesting import parse_json
from ragdiag.spans.tree import Node, Tree

Stage = Literal["lexical", "dense", "fused"]

STAGE_LATENCY = {"lexical": "lexical", "dense": "dense", "fused": "fusion"}
LEAST_MATCH = 40
"""Characters of a passage's beginning that must stand in a prompt for the passage to be in it."""

HIDDEN = "texts are not stored: the whole last list is taken to have been the context"

_TELLTALE = ("ragdiag.stage", "db.system", "db.system.name", "gen_ai.data_source.id", "tool.name")
_FUSED = re.compile(r"hybrid|ensemble|fusion|\brrf\b|merge", re.I)
_LEXICAL = re.compile(r"bm ?25|lexical|keyword|sparse|tf.?idf|full.?text|splade|elser", re.I)
_DENSE = re.compile(
    r"dense|vector|embedding|semantic|faiss|hnsw|\bann\b|knn|milvus|pinecone|qdrant|chroma"
    r"|weaviate|lancedb|similarity",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Stages:
    """``measured`` are the spans whose time counts, with the name of their latency; ``doubts``
    what the trace left open."""

    lexical: tuple[Hit, ...] | None = None
    dense: tuple[Hit, ...] | None = None
    fused: tuple[Hit, ...] = ()
    reranked: tuple[Hit, ...] | None = None
    context: tuple[ContextHit, ...] = ()
    documents: Sequence[Document] = ()
    measured: Sequence[tuple[str, Node]] = ()
    doubts: Sequence[str] = ()


def read_stages(tree: Tree) -> Stages:
    """Every list of ``tree``; all empty where nothing was retrieved."""
    found: dict[Stage, list[Document]] = {}
    measured: list[tuple[str, Node]] = []
    everything: list[Document] = []
    for node in _by_time(tree.of_kind("retriever")):
        stage = stage_of(node, tree)
        measured.append((STAGE_LATENCY[stage], node))
        documents = retrieved_documents(node)
        everything += documents
        if stage != "fused" or _gives_fused(node, tree):
            found.setdefault(stage, []).extend(documents)
    offered, reranked = _reranking(tree)
    measured += [("rerank", node) for node in tree.of_kind("reranker")]
    everything += [*offered, *(reranked or [])]
    lists = {stage: to_hits(documents) for stage, documents in found.items()}
    fused, doubt = _fused(lists, to_hits(offered))
    last = reranked if reranked is not None else _in_order(everything, fused)
    last = _with_texts(last, everything)
    context, evident, missing = _context(tree, last, everything)
    if not fused and evident:
        fused, doubt = tuple(Hit(hit.passage_id, hit.score) for hit in context), ""
    return Stages(
        lexical=lists.get("lexical"),
        dense=lists.get("dense"),
        fused=fused,
        reranked=None if reranked is None else to_hits(reranked),
        context=context,
        documents=everything,
        measured=measured,
        doubts=[reason for reason in (doubt, missing) if reason],
    )


def stage_of(node: Node, tree: Tree) -> Stage:
    """Which list a retriever fills."""
    if tree.holds(node, "retriever"):
        return "fused"
    attributes = node.span.attributes
    stated = attributes.get("ragdiag.stage")
    if isinstance(stated, str) and stated in STAGE_LATENCY:
        return cast(Stage, stated)
    for text in (*(attributes.get(key) for key in _TELLTALE), node.span.name):
        if isinstance(text, str):
            for stage, pattern in (("fused", _FUSED), ("lexical", _LEXICAL), ("dense", _DENSE)):
                if pattern.search(text):
                    return stage  # type: ignore[return-value]
    return "fused"


def _by_time(nodes: Sequence[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: (node.span.started_at, node.depth))


def _gives_fused(node: Node, tree: Tree) -> bool:
    """Not one that hands its documents to a reranker within it, nor one that hands them to a
    retriever around it that merges."""
    around = [above for above in node.ancestors if above.kind == "retriever"]
    merged = any(not tree.holds(above, "reranker") for above in around)
    return not merged and not tree.holds(node, "reranker")


def retrieved_documents(node: Node) -> list[Document]:
    """The retriever's result. Ids that only its raw output states (LangChain's) are taken from
    there, where the texts agree."""
    names = (RETRIEVED_DOCUMENTS, GENAI_DOCUMENTS, OUTPUT_DOCUMENTS)
    documents = read_documents(node.span, *names) or read_results(node.span)
    raw = parse_json(node.span.attributes.get("output.value"))
    stated = read_all(raw.get("documents") if isinstance(raw, dict) else raw)
    if [document.text for document in documents] != [document.text for document in stated]:
        return documents or stated
    return [
        replace(document, passage_id=other.passage_id)
        if is_text_id(document.passage_id)
        else document
        for document, other in zip(documents, stated, strict=True)
    ]


def _reranking(tree: Tree) -> tuple[list[Document], list[Document] | None]:
    """What the first reranker was given, and what the last one gave."""
    nodes = _by_time(tree.of_kind("reranker"))
    if not nodes:
        return [], None
    offered = read_documents(nodes[0].span, RERANKER_INPUT, INPUT_DOCUMENTS)
    return offered, read_documents(nodes[-1].span, RERANKER_OUTPUT, OUTPUT_DOCUMENTS)


def _fused(
    lists: dict[Stage, tuple[Hit, ...]], offered: tuple[Hit, ...]
) -> tuple[tuple[Hit, ...], str]:
    if lists.get("fused"):
        return lists["fused"], ""
    if offered:
        return offered, ""
    paths = [hits for hits in lists.values() if hits]
    if len(paths) > 1:
        return (), "how the two paths were merged was not recorded"
    return (paths[0] if paths else ()), ""


def _in_order(documents: Sequence[Document], hits: Sequence[Hit]) -> list[Document]:
    by_id = {document.passage_id: document for document in reversed(documents)}
    return [by_id[hit.passage_id] for hit in hits]


def _with_texts(documents: Sequence[Document], known: Sequence[Document]) -> list[Document]:
    """``documents``, those that are named by their id alone with the text that ``known`` has of it:
    rerankers often say no more of what they were given."""
    texts = {document.passage_id: document.text for document in reversed(known) if document.text}
    return [
        replace(document, text=document.text or texts.get(document.passage_id, ""))
        for document in documents
    ]


def _context(
    tree: Tree, last: Sequence[Document], everything: Sequence[Document]
) -> tuple[tuple[ContextHit, ...], bool, str]:
    """What reached a model, whether the trace shows it, and a doubt where the prompts hold none
    of the retrieved texts, or nobody can tell."""
    calls = tree.of_kind("llm")
    stated = [document for node in calls for document in read_documents(node.span, INPUT_DOCUMENTS)]
    if stated:
        return _whole(_with_texts(stated, everything)), True, ""
    prompts = "\n".join(m.text for n in calls for m in read_messages(n.span, "input"))
    candidates = {d.passage_id: d for d in reversed(last or everything)}
    if not prompts or not any(document.text for document in candidates.values()):
        return _whole(last), False, ""
    shown = [*prompts.splitlines(), *(document.text for document in candidates.values())]
    if any(map(is_stand_in, shown)):
        return _whole(last), False, HIDDEN
    scores = {hit.passage_id: hit.score for hit in to_hits(last or everything)}
    texts = {name: document.text for name, document in candidates.items()}
    found = {
        name: (place, ContextHit(name, scores[name], chars))
        for name, (place, chars) in _places(texts, prompts).items()
    }
    ordered = sorted(found.values(), key=lambda placed: placed[0])
    doubt = "" if found else "no recorded prompt holds a retrieved text"
    return tuple(hit for _, hit in ordered), bool(found), doubt


def _whole(documents: Sequence[Document]) -> tuple[ContextHit, ...]:
    """All of them uncut; one whose text is not here is as long as any can be."""
    lengths = {
        d.passage_id: LONGEST if not d.text or is_stand_in(d.text) else len(d.text)
        for d in reversed(documents)
    }
    return tuple(
        ContextHit(h.passage_id, h.score, lengths[h.passage_id]) for h in to_hits(documents)
    )


def _places(texts: dict[str, str], prompts: str) -> dict[str, tuple[int, int]]:
    """Of each text that stands in ``prompts``: where it begins, and how much of it, from its
    beginning, is there. Less than its first 40 characters is nothing; white space may differ."""
    whole = {name: (prompts.find(text), len(text)) for name, text in texts.items()}
    if all(place >= 0 and chars for place, chars in whole.values()):
        return whole
    squeezed = _squeeze(prompts)
    found = {name: _place_within(text, squeezed) for name, text in texts.items()}
    return {name: placed for name, placed in found.items() if placed[1]}


def _place_within(text: str, prompts: str) -> tuple[int, int]:
    squeezed = _squeeze(text)
    place = prompts.find(squeezed[:LEAST_MATCH]) if squeezed else -1
    if place < 0:
        return 0, 0
    # Each further place holds more than the last, so the prompts are gone through once.
    at, most = place, 0
    while at >= 0:
        most = _length_at(at, squeezed, prompts, most)
        if most == len(squeezed):
            return at, len(text)
        at = prompts.find(squeezed[: most + 1], at + 1)
    return place, most


def _length_at(place: int, text: str, prompts: str, known: int) -> int:
    """How many characters of ``text`` stand at ``place``, where ``known`` of them do."""
    low, high = known, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        same = prompts.startswith(text[low:middle], place + low)
        low, high = (middle, high) if same else (low, middle - 1)
    return low


def _squeeze(text: str) -> str:
    return " ".join(text.split())
