"""What an index takes and gives."""

from __future__ import annotations

from ragdiag.records import Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_questions
from ragdiag.store.lake import Lake
from ragdiag.store.measurements import latest_measurements
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.indexing.measure import measure_index

N = 60
SPEC = "[lexical]\n[generator]\nkind='extractive'\n"


def test_what_an_index_takes_and_gives_is_kept(lake: Lake, workspace: Workspace) -> None:
    add_documents(lake, [Passage(f"p{n}", f"d{n}", f"The code is {1000 + n}.") for n in range(N)])
    add_questions(lake, [Question(f"q{n}", f"What is {1000 + n}?") for n in range(N)])
    words = Version("plain words", parse_spec(SPEC, source="plain words"))
    build = build_version_index(lake, workspace, words)
    measure_index(lake, workspace, words, questions=5)
    found = measure_index(lake, workspace, words, questions=20)
    assert (found.passages, found.questions, found.vector_bytes) == (N, 20, 0)
    assert 0 < found.lexical_bytes < build.bytes
    assert found.p50_ms.value <= found.p95_ms.value
    assert found.questions_per_second > 0
    (kept,) = latest_measurements(lake)
    assert (kept["build_id"], kept["measured"]) == (build.build_id, found.to_json())
    assert "questions a second (20 questions)" in found.to_text()
