"""A sweep over a small corpus: kept as it is made, resumed, and turned into a version."""

from __future__ import annotations

from typing import Any

import pytest

from ragdiag.errors import IndexFault, InputError, SpecError, UnknownName
from ragdiag.records import Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_questions
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version, save_version
from ragdiag.store.tunings import latest_tuning, load_trials
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing import tune as workflow
from ragdiag.workflows.indexing.tune import Aim, tune_index

VERSION = Version("dense", parse_spec("[embedder]\n[generator]\nkind='extractive'", source="toy"))
AIM = Aim(k=5, kinds=("flat", "hnsw", "rabitq"))


@pytest.fixture
def corpus(lake: Lake) -> Lake:
    words = ["virus", "bread", "river", "piano", "engine", "tax"]
    passages = [
        Passage(f"p{n}", f"d{n}", f"the {words[n % 6]} and the {words[n // 6]} number {n}")
        for n in range(30)
    ]
    add_documents(lake, passages)
    add_questions(lake, [Question(f"q{n}", f"what of the {word}?") for n, word in enumerate(words)])
    return lake


def test_the_choice_is_kept_with_every_trial_and_saved_as_a_version(
    corpus: Lake, workspace: Workspace
) -> None:
    found = tune_index(corpus, workspace, VERSION, AIM, save_as="tuned")
    assert (found.passages, found.questions, found.skipped.keys()) == (30, 6, {"rabitq"})
    assert found.chosen is not None
    assert find_version(corpus, "tuned").spec.ann == found.chosen.spec
    assert len(found.trials) == 1 + 4 * 6
    kept = latest_tuning(corpus, VERSION.version_id)
    assert kept is not None
    assert kept[1]["chosen"] == found.to_json()["chosen"]
    assert "chosen:" in found.to_text()


def test_a_sweep_that_was_interrupted_goes_on_where_it_stopped(
    corpus: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = workflow.try_setting

    def counted(task: Any, spec: Any) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(spec.kind)
        return real(task, spec)

    monkeypatch.setattr(workflow, "try_setting", counted)
    with pytest.raises(KeyboardInterrupt):
        tune_index(corpus, workspace, VERSION, AIM)
    made.clear()
    monkeypatch.setattr(workflow, "try_setting", lambda t, s: made.append(s.kind) or real(t, s))
    found = tune_index(corpus, workspace, VERSION, AIM)
    assert made == ["hnsw", "hnsw", "hnsw", "rabitq"]
    assert len(load_trials(corpus, found.tuning_id)) == len(found.trials) == 25
    made.clear()
    again = tune_index(corpus, workspace, VERSION, AIM)
    assert made == ["rabitq"]
    first, second = ([str(trial) for trial in one.trials] for one in (found, again))
    assert sorted(second) == sorted(first)


def test_a_target_out_of_reach_names_the_nearest(corpus: Lake, workspace: Workspace) -> None:
    spec = VERSION.spec.model_copy(
        update={"ann": VERSION.spec.ann.model_copy(update={"reduce": "truncate", "dimensions": 2})}
    )
    found = tune_index(corpus, workspace, Version("cut", spec), Aim(k=5, kinds=("flat",)))
    assert found.chosen is None
    assert "no setting reaches the target; the nearest:" in found.to_text()


def test_what_cannot_be_tuned_says_so(lake: Lake, workspace: Workspace) -> None:
    words = Version("bm25", parse_spec("[lexical]\n[generator]\nkind='extractive'", source="toy"))
    with pytest.raises(SpecError, match=r"has no \[embedder\]"):
        tune_index(lake, workspace, words, AIM)
    ann = VERSION.spec.ann.model_copy(update={"engine": "milvus", "uri": "a.db"})
    elsewhere = Version("milvus", VERSION.spec.model_copy(update={"ann": ann}))
    with pytest.raises(SpecError, match="keeps its vectors in Milvus"):
        tune_index(lake, workspace, elsewhere, AIM)
    with pytest.raises(IndexFault, match="the corpus is empty"):
        tune_index(lake, workspace, VERSION, AIM)
    add_documents(lake, [Passage("p", "d", "a text")])
    with pytest.raises(InputError, match="no question to search with"):
        tune_index(lake, workspace, VERSION, AIM)
    add_questions(lake, [Question("q", "a question?")])
    with pytest.raises(InputError, match="nothing can be built"):
        tune_index(lake, workspace, VERSION, Aim(kinds=("opq",)))


def test_trials_are_shared_and_shards_stay_each_versions_own(
    corpus: Lake, workspace: Workspace
) -> None:
    ann = VERSION.spec.ann.model_copy(update={"shard_by": "time", "search_shards": 1})
    sharded = Version("sharded", VERSION.spec.model_copy(update={"ann": ann}))
    aim = Aim(k=5, kinds=("flat", "hnsw"))
    first = tune_index(corpus, workspace, sharded, aim, save_as="tuned-sharded")
    second = tune_index(corpus, workspace, VERSION, aim, save_as="tuned")
    assert first.tuning_id == second.tuning_id
    assert len(load_trials(corpus, first.tuning_id)) == len(first.trials)
    for name, shards in (("tuned-sharded", ("time", 1)), ("tuned", ("none", None))):
        spec = find_version(corpus, name).spec.ann
        assert (spec.shard_by, spec.search_shards) == shards


def test_a_version_that_is_chosen_as_it_is_is_told_and_the_sweep_kept(
    corpus: Lake, workspace: Workspace
) -> None:
    save_version(corpus, VERSION)
    found = tune_index(corpus, workspace, VERSION, Aim(k=5, kinds=("flat",)), save_as="tuned")
    assert found.saved == VERSION
    assert "version dense has this setting already" in found.to_text()
    assert latest_tuning(corpus, VERSION.version_id) is not None
    other = parse_spec("[lexical]\n[generator]\nkind='extractive'", source="toy")
    save_version(corpus, Version("words", other))
    with pytest.raises(InputError, match="the version words already has another spec"):
        tune_index(corpus, workspace, VERSION, Aim(k=3, kinds=("flat",)), save_as="words")
    with pytest.raises(UnknownName):
        find_version(corpus, "tuned")
