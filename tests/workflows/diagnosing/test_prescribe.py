"""What to do next, from a version's own questions, with its real index and generator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ragdiag.diagnosis.tried_settings import own_setting
from ragdiag.errors import InputError
from ragdiag.records import Estimate, GoldAnswer, Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.prescriptions import latest_prescriptions
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing.prescribe import Prescription, prescribe
from ragdiag.workflows.indexing.build import build_version_index
from tests.diagnosed import diagnose

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
    own = own_setting(NARROW.spec, ["k=10", "tokens=2000"])
    yield lake, prescribe(lake, workspace, NARROW, "test", sample=20, own=own)
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
    assert (deeper.gain.n, deeper.gain.reason) == (20, "same context, no difference")
    behind = next(one for one in found.levers if one.name == "index what 4 questions ask for")
    assert (behind.basis, behind.action) == ("counted", "ragdiag index build narrow")


def test_a_setting_of_ones_own_is_tried_beside_the_others(
    prescribed: tuple[Lake, Prescription],
) -> None:
    own = next(one for one in prescribed[1].levers if one.name.startswith("yours"))
    assert own.name == "yours: k 1 → 10, tokens 1500 → 2000"
    assert own.helps
    assert (own.gain.n, own.slower.n) == (20, 20)
    assert own.action == "[context] k = 10; [context] max_tokens = 2000"
    assert "yours: k 1 → 10" in prescribed[1].to_text()


def test_passages_of_another_size_are_measured_over_an_index_of_their_own(
    prescribed: tuple[Lake, Prescription],
) -> None:
    cut = next(one for one in prescribed[1].levers if one.name.startswith("passages of"))
    assert (cut.basis, cut.gain.n) == ("measured", 20)
    assert cut.gain.low <= cut.gain.value <= cut.gain.high
    assert cut.slower.n == 20
    assert "passages in place of 38, indexed in" in cut.note
    assert cut.action.startswith("ragdiag import corpus PATH --max-tokens 16 --rebuild")
    assert cut.ranking_gain.reason == "its passages are others than those that were judged"


def test_every_fault_has_its_levers_or_what_to_do(prescribed: tuple[Lake, Prescription]) -> None:
    found = prescribed[1]
    told = {one["fault"]: one for one in found.to_json()["faults"]}
    assert sum(one["n"] for one in told.values()) == sum(found.faults.values())
    assert told["corpus_gap"]["levers"] == ["index what 4 questions ask for"]
    assert "passages in the prompt 1 → 10" in told["rerank_loss"]["levers"]
    assert "rerank_loss, 13: " in found.to_text()


def test_the_checklist_is_answered_from_the_data(prescribed: tuple[Lake, Prescription]) -> None:
    told = {check.name: check for check in prescribed[1].checks}
    assert list(told) == ["labels", "p95 budget", "cost", "top-1 precision"]
    assert told["labels"].answer.startswith("28 judged questions: not enough for a fusion weight")
    assert told["top-1 precision"].numbers["hit@10"]["value"] == pytest.approx(24 / 28)
    assert "(a 95 % interval for p95 needs n ≥ 73, n = 28) of a budget" in told["p95 budget"].answer
    cost = told["cost"]
    assert "hours of this machine (" in cost.answer
    assert "No price is set of tokens (prompt_price and completion_price" in cost.answer
    assert "measured" in cost.answer
    assert cost.numbers["machine_hours"]["n"] == 28


def test_what_was_told_is_kept(prescribed: tuple[Lake, Prescription]) -> None:
    lake, found = prescribed
    kept = latest_prescriptions(lake)
    assert [row["version_id"] for row in kept] == [NARROW.version_id]
    assert kept[0]["prescription"] == json.loads(json.dumps(found.to_json(), allow_nan=False))


def test_a_difference_that_rounds_to_nothing_has_no_sign(
    prescribed: tuple[Lake, Prescription],
) -> None:
    found = prescribed[1]
    least = Estimate(-0.01, -0.02, -0.001, 20)
    told = replace(found, levers=(replace(found.levers[0], slower=least),)).to_text()
    assert "+0.0 ms (+0.0 to +0.0, n = 20)" in told
