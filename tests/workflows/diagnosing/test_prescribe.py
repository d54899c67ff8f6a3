"""What to do next, from a version's own questions, with its real index and generator."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ragdiag.errors import InputError
from ragdiag.records import GoldAnswer, Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.prescriptions import latest_prescriptions
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing.diagnose import diagnose
from ragdiag.workflows.diagnosing.prescribe import Prescription, prescribe
from ragdiag.workflows.indexing.build import build_version_index

pytestmark = pytest.mark.slow

N, HIDDEN, LATER = 24, 14, 4
NARROW = Version(
    "narrow",
    parse_spec("[lexical]\n[context]\nk = 1\n[generator]\nkind = 'extractive'", source="toy"),
)


def fill(lake: Lake) -> None:
    """The code of a gate stands in one passage; for the first HIDDEN gates another says the words
    of the question more often."""
    noise = [f"Code {n} gate {n}, code {n}: nothing to see here." for n in range(HIDDEN)]
    gold = [
        f"Gate {n} has the code {7000 + n}. The warden of the northern wall set it in the spring, "
        "when the river was high and the bridge was closed to carts."
        for n in range(N)
    ]
    texts = {f"noise{n}": text for n, text in enumerate(noise)}
    texts |= {f"gold{n}": text for n, text in enumerate(gold)}
    add_documents(lake, [Passage(name, name, text) for name, text in texts.items()])
    add_questions(lake, [Question(f"q{n}", f"What code has gate {n}?") for n in range(N)])
    add_gold_answers(lake, [GoldAnswer(f"q{n}", (str(7000 + n),)) for n in range(N)])
    add_judgments(lake, [Judgment(f"q{n}", f"gold{n}", 1, "test") for n in range(N)])
    save_version(lake, NARROW)


def add_later(lake: Lake) -> None:
    """Questions whose passages came after the index was built."""
    names = [f"later{n}" for n in range(LATER)]
    add_documents(lake, [Passage(name, name, f"Lake {name} was dug by hand.") for name in names])
    add_questions(lake, [Question(name, f"How was lake {name} dug?") for name in names])
    add_gold_answers(lake, [GoldAnswer(name, ("by hand",)) for name in names])
    add_judgments(lake, [Judgment(name, name, 1, "test") for name in names])


@pytest.fixture(scope="module")
def prescribed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Prescription]]:
    workspace = Workspace(tmp_path_factory.mktemp("prescribe") / "workspace")
    lake = open_lake(workspace, create=True)
    fill(lake)
    build_version_index(lake, workspace, NARROW)
    add_later(lake)
    evaluate(lake, workspace, NARROW, "test")
    with pytest.raises(InputError, match="28 of 28 requests are not diagnosed"):
        prescribe(lake, workspace, NARROW, "test")
    diagnose(lake, workspace, NARROW, split="test")
    yield lake, prescribe(lake, workspace, NARROW, "test", sample=20)
    close_lakes()


def test_the_setting_that_mends_is_found_by_replay(prescribed: tuple[Lake, Prescription]) -> None:
    found = prescribed[1]
    assert found.levers[0].name.startswith("passages in the prompt 1 → ")
    assert found.levers[0].helps
    assert found.levers[0].gain.n == 20
    assert found.sentence.startswith("Next: passages in the prompt 1 → ")
    deeper = next(one for one in found.levers if one.name.startswith("candidates"))
    assert (deeper.gain.value, deeper.helps) == (0.0, False)
    assert deeper.ranking_gain.value == 0.0
    missing = next(one for one in found.levers if one.name == "add what 4 questions ask for")
    assert (missing.basis, missing.work_minutes) == ("counted", 80.0)


def test_the_checklist_is_answered_from_the_data(prescribed: tuple[Lake, Prescription]) -> None:
    told = {check.name: check for check in prescribed[1].checks}
    assert list(told) == ["labels", "p95 budget", "cost", "top-1 precision"]
    assert told["labels"].answer.startswith("28 judged questions: not enough for a fusion weight")
    assert told["top-1 precision"].numbers["hit@10"]["value"] == pytest.approx(24 / 28)
    assert "No request has a price" in told["cost"].answer


def test_what_was_told_is_kept(prescribed: tuple[Lake, Prescription]) -> None:
    lake, found = prescribed
    kept = latest_prescriptions(lake)
    assert [row["version_id"] for row in kept] == [NARROW.version_id]
    assert kept[0]["prescription"] == json.loads(json.dumps(found.to_json(), allow_nan=False))
