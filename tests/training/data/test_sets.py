"""Sets on disk: what is read is what was written, and one user's pairs leave it for good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragdiag.errors import KeyMissing, TrainingError
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import Keyring, new_key, parse_keys
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.data.sets import forget_pairs, load_set, save_set

TEXTS = {"p1": "Cats sleep\u2028long.", "p2": "Dogs “smell”.", "p3": "Tea is green."}
HELD = TrainingSet(
    [
        Pair("q1", "How long do cats sleep?", "p1", "judgment", 0.5, ("p2",), (1.5, -2.0)),
        Pair("ann-1", "What smells of ann?", "p2", "click", request_ids=("ann-1",)),
        Pair("q2", "Is tea green?", "p3", "feedback", request_ids=("ann-2", "bob-2")),
        Pair("q3", "A text of Ann's alone", "p3", "bm25"),
    ],
    TEXTS,
)


def removed(path: Path) -> int:
    """What the head of a set says has been removed since it was written."""
    with path.open(encoding="utf-8") as file:
        told: int = json.loads(file.readline())["removed"]
    return told


def test_a_set_comes_back_as_it_was(tmp_path: Path) -> None:
    path = save_set(tmp_path, HELD, "dev")
    assert path.stat().st_mode & 0o077 == 0, "users' questions are nobody else's to read"
    found = load_set(tmp_path, "dev")
    assert (list(found.pairs), dict(found.texts)) == (HELD.pairs, TEXTS)
    assert found.data_hash == HELD.data_hash
    assert removed(path) == 0


@pytest.mark.parametrize("old", ["cats", "q2", '"weight": 0.5', '"data_hash": "'])
def test_a_changed_file_is_refused(tmp_path: Path, old: str) -> None:
    path = save_set(tmp_path, HELD)
    text = path.read_text("utf-8")
    path.write_text(text.replace(old, old[:-1] + "x", 1), "utf-8")
    with pytest.raises(TrainingError, match="not what was written"):
        load_set(tmp_path)
    path.write_text(text[: len(text) // 2], "utf-8")
    with pytest.raises(TrainingError, match="not what was written"):
        load_set(tmp_path)


def test_a_sealed_set_is_read_with_its_key_alone(tmp_path: Path) -> None:
    ours, other = parse_keys(new_key(), "OURS"), parse_keys(new_key(), "OTHER")
    path = save_set(tmp_path, HELD, seal=ours)
    assert b"sleep" not in path.read_bytes()
    assert load_set(tmp_path, keys=ours).data_hash == HELD.data_hash
    for keys, said in ((other, "OTHER has another"), (Keyring("NONE"), "NONE holds none")):
        with pytest.raises(KeyMissing, match=rf"train\.pairs\.jsonl is encrypted.*{said}"):
            load_set(tmp_path, keys=keys)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrainingError, match="not what was written"):
        load_set(tmp_path, keys=ours)


def test_a_sealed_set_stays_so_when_somebody_is_forgotten(tmp_path: Path) -> None:
    keys = parse_keys(new_key(), "OURS")
    path = save_set(tmp_path, HELD, seal=keys)
    about = ({"ann-1", "ann-2"}.__contains__, ["q-of-ann"], ["A text of Ann's alone"])
    with pytest.raises(KeyMissing):
        forget_pairs(tmp_path, *about)
    assert forget_pairs(tmp_path, *about, keys=keys).files == (path,)
    assert is_encrypted(path)
    assert [one.question_id for one in load_set(tmp_path, keys=keys).pairs] == ["q1", "q2"]


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no training set .*train\.pairs\.jsonl"):
        load_set(tmp_path)


def test_a_forgotten_users_pairs_leave_every_run(tmp_path: Path) -> None:
    paths = [save_set(tmp_path / run, HELD) for run in ("one", "two")]
    untouched = save_set(tmp_path / "three", TrainingSet(HELD.pairs[:1], TEXTS))
    before = untouched.read_bytes()
    about = ({"ann-1", "ann-2"}.__contains__, ["q-of-ann"], ["A text of Ann's alone"])

    trial = forget_pairs(tmp_path, *about, dry_run=True)
    assert (trial.pairs, set(trial.files)) == (4, set(paths))
    assert [removed(path) for path in paths] == [0, 0]

    assert forget_pairs(tmp_path, *about) == trial
    for run in ("one", "two"):
        left = load_set(tmp_path / run)
        assert [pair.question_id for pair in left.pairs] == ["q1", "q2"]
        assert left.pairs[1].request_ids == ("bob-2",)
    assert [removed(path) for path in paths] == [2, 2]
    assert b"ann" not in b"".join(path.read_bytes().lower() for path in paths)
    assert untouched.read_bytes() == before
    assert forget_pairs(tmp_path, *about).pairs == 0
