"""A corpus whose questions speak of prices and colours by words of their own, so that nobody can
tell the two passages of a thing apart who has not learnt them."""

from __future__ import annotations

from ragdiag.records import GoldAnswer, Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index

NAMES = (
    "lamp chair kettle sofa bicycle mirror ladder carpet piano drum violin hammer bucket shovel "
    "candle blanket pillow teapot basket wardrobe stove fridge toaster umbrella suitcase wallet "
    "scarf jacket boot helmet tent kayak sledge canoe rope anchor compass lantern whistle bell"
)
THINGS = NAMES.split()
ASPECTS = {"blorf": ("It costs {n} euros.", "{n} euros"), "quimp": ("It is dyed {c}.", "{c}")}
COLOURS = ("red", "green", "blue", "white")
DENSE = "[embedder]\n[context]\nk = 1\n[generator]\nkind = 'extractive'\nthreshold = 0"


Toys = tuple[list[Passage], list[Question], list[Judgment], list[GoldAnswer]]


def toys() -> Toys:
    """Two passages and two questions a thing; the last third of the things is the test split."""
    passages, questions, judgments, golds = [], [], [], []
    for number, thing in enumerate(THINGS):
        split = "train" if number < len(THINGS) * 2 // 3 else "test"
        for alias, (sentence, answer) in ASPECTS.items():
            told = {"n": 10 + number, "c": COLOURS[number % len(COLOURS)]}
            name = f"{thing}#{alias}"
            text = f"About the {thing}. {sentence.format(**told)}"
            passages.append(Passage(name, thing, text))
            questions.append(Question(name, f"What is the {alias} of the {thing}?", alias))
            judgments.append(Judgment(name, name, 1, split))
            golds.append(GoldAnswer(name, (answer.format(**told),)))
    return passages, questions, judgments, golds


def fill(workspace: Workspace) -> tuple[Lake, Version]:
    """A new lake with the toys, and a version over them."""
    lake = open_lake(workspace, create=True)
    passages, questions, judgments, golds = toys()
    add_documents(lake, passages)
    add_questions(lake, questions)
    add_judgments(lake, judgments)
    add_gold_answers(lake, golds)
    version = Version("dense", parse_spec(DENSE, source="toy"))
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    return lake, version
