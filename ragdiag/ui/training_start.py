"""Starting a fine-tuning run: what can be chosen, and the command that it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from ragdiag.store.judgments import split_sizes
from ragdiag.store.results import list_versions
from ragdiag.training.adapters import LoraOptions
from ragdiag.training.reranker.cross_encoder import CrossEncoderOptions
from ragdiag.training.reranker.late_interaction import LOOPS as LATE_LOOPS
from ragdiag.training.retriever.bi_encoder_options import LOOPS
from ragdiag.ui import jobs, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.commands import tune_command
from ragdiag.ui.training_failures import only_failures, usual_splits
from ragdiag.ui.view import View
from ragdiag.version import Spec
from ragdiag.workflows.tuning.answer_options import GeneratorTuning, ReaderTuning
from ragdiag.workflows.tuning.data import LearnFrom

RANK = LoraOptions.rank
NO_LABELS = ""
WEAK = (
    "A retriever or a reranker can learn from clicks, titles and what BM25 is sure of instead; "
    "such pairs are weaker than labels."
)


@dataclass(frozen=True, slots=True)
class Trainable:
    """What ``ragdiag tune`` trains by ``command`` and ``options``, and what follows from it.
    ``base`` says which model the user has to name, if any; ``negatives`` is how many hard ones a
    pair has unless chosen, where there are any; ``fits`` which versions it is for, and ``missing``
    what is said where there is none."""

    label: str
    follows: str
    command: str
    epochs: int
    options: tuple[str, ...] = ()
    base: str = ""
    negatives: int | None = None
    fits: Callable[[Spec], bool] = lambda spec: True
    missing: str = ""

    @property
    def finds(self) -> bool:
        return self.command in ("retriever", "reranker", "late-interaction")


def _embeds(spec: Spec) -> bool:
    return spec.embedder is not None


def _interacts_late(spec: Spec) -> bool:
    return spec.reranker is not None and spec.reranker.kind == "late_interaction"


NO_EMBEDDER = "A retriever is tuned for a version with an embedder; this workspace has none."
NO_LATE_INTERACTION = (
    'It is tuned for a version with [reranker] kind = "late_interaction"; this workspace has none.'
)
TRAINABLE = {
    "query-lora": Trainable(
        "retriever: LoRA, questions only",
        "Documents keep their vectors: no index is built anew, and training is the fastest.",
        "retriever",
        LOOPS["query-lora"].epochs,
        ("--method", "query-lora"),
        negatives=LearnFrom.hard,
        fits=_embeds,
        missing=NO_EMBEDDER,
    ),
    "lora": Trainable(
        "retriever: LoRA, both sides",
        "Small weights beside the model; the index is built anew.",
        "retriever",
        LOOPS["lora"].epochs,
        ("--method", "lora"),
        negatives=LearnFrom.hard,
        fits=_embeds,
        missing=NO_EMBEDDER,
    ),
    "full": Trainable(
        "retriever: all weights",
        "The most it can learn and the slowest; the index is built anew.",
        "retriever",
        LOOPS["full"].epochs,
        ("--method", "full"),
        negatives=LearnFrom.hard,
        fits=_embeds,
        missing=NO_EMBEDDER,
    ),
    "reranker": Trainable(
        "reranker",
        "Reorders what the version retrieves. Answers take longer; the gate weighs that.",
        "reranker",
        CrossEncoderOptions().loop.epochs,
        negatives=CrossEncoderOptions.negatives,
    ),
    "late-interaction": Trainable(
        "late interaction: how questions are read",
        "Passages keep their vectors, depth and weight stay, and answers take no longer.",
        "late-interaction",
        LATE_LOOPS["query-lora"].epochs,
        ("--method", "query-lora"),
        fits=_interacts_late,
        missing=NO_LATE_INTERACTION,
    ),
    "late-interaction-lora": Trainable(
        "late interaction: questions and passages",
        "Slower; the words of passages are encoded anew, and the index, depth and weight stay.",
        "late-interaction",
        LATE_LOOPS["lora"].epochs,
        ("--method", "lora"),
        fits=_interacts_late,
        missing=NO_LATE_INTERACTION,
    ),
    "reader": Trainable(
        "reader",
        "Marks the answer in a passage instead of choosing a sentence; the index stays.",
        "reader",
        ReaderTuning("").loop.epochs,
        base="an encoder, or an earlier reader",
    ),
    "generator": Trainable(
        "generator",
        "A language model learns to answer from the version's passages; the index stays.",
        "generator",
        GeneratorTuning("").loop.epochs,
        base="a causal language model",
    ),
}


def start(view: View) -> None:
    """What can be chosen, the command it makes, and a button that runs it in the background."""
    if view.read_only:
        st.caption("This dashboard is read-only: runs are started by `ragdiag tune` commands.")
        return
    splits = fetch(view, split_sizes)
    versions = fetch(view, list_versions)
    if not versions or not splits:
        missing = "a version" if not versions else "judged questions"
        st.caption(f"Training takes {missing}; this workspace has none.")
        return
    what_box, version_box = st.columns([3, 2])
    learn_box, test_box, epochs_box = st.columns([2, 2, 1])
    with what_box:
        kind = st.selectbox(
            "What is trained",
            list(TRAINABLE),
            format_func=lambda name: TRAINABLE[name].label,
            key="tune_method",
        )
    what = TRAINABLE[kind]
    names = [one.name for one in versions if what.fits(one.spec)]
    if not names:
        st.caption(what.missing)
        return
    with version_box:
        version = st.selectbox("For version", names, index=len(names) - 1, key="tune_version")
    with test_box:
        test = _split("Test on split", splits, usual_splits(splits)[1], "tune_test")
    others = {name: n for name, n in splits.items() if name != test}
    if not others:
        st.caption(
            "What is learnt from one split is tested on another; the only one here is "
            f"`{test}`. Judged questions of a second one come in by "
            '`ragdiag import beir` (`qrels/SPLIT.tsv`) or `ragdiag import gold` (`"split"`).'
            + (f" {WEAK}" if what.finds else "")
        )
        if not what.finds:
            return
    with learn_box:
        split = _learn_from(others, what)
    with epochs_box:
        epochs = st.number_input(
            "Epochs at most", 1, 50, value=what.epochs, key=f"tune_epochs_{kind}"
        )
    given = [what.command, version]
    given += ["--no-labels"] if split is None else ["--split", split]
    given += ["--test", test, *what.options, "--epochs", str(epochs)]
    base = _base(kind, what)
    if what.base:
        given.append(f"--base={base or 'FOLDER'}")
    if what.finds:
        given += _data_options(view, kind, what, split)
    st.caption(what.follows)
    _offer(view, given, ready=bool(base) or not what.base)


def _learn_from(others: Mapping[str, int], what: Trainable) -> str | None:
    """A split; None for no labels, which is a choice where passages are searched for."""
    if not what.finds:
        return _split("Learn from split", others, "train", "tune_split")
    chosen = st.selectbox(
        "Learn from split",
        [*others, NO_LABELS],
        index=list(others).index("train") if "train" in others else 0,
        format_func=lambda name: (
            f"{name} ({words.count(others[name], 'question')})" if name else "no labels"
        ),
        key="tune_labels",
        help=f"Without labels: {WEAK}",
    )
    return chosen or None


def _data_options(view: View, kind: str, what: Trainable, split: str | None) -> list[str]:
    """What else is chosen of the pairs and of the adapter, as options of the command where it
    differs from what the command takes by itself."""
    given = []
    boxes = st.columns([5, 3, 3, 1])
    with boxes[0]:
        if split is not None and only_failures(view, split):
            given.append("--from-failures")
    if what.negatives is not None:
        with boxes[1]:
            fewest = 0 if what.command == "retriever" else 1
            hard = st.number_input(
                "Hard negatives", fewest, 64, value=what.negatives, key=f"tune_negatives_{kind}"
            )
        given += ["--negatives", str(hard)] if hard != what.negatives else []
    if kind in ("query-lora", "lora"):
        with boxes[2]:
            rank = st.number_input(
                "Rank of the adapter", 1, 512, value=RANK, key=f"tune_rank_{kind}"
            )
        given += ["--rank", str(rank)] if rank != RANK else []
    return given


def _split(label: str, splits: Mapping[str, int], usual: str, key: str) -> str:
    """One of ``splits`` (name → questions), by itself the ``usual`` one, else the first."""
    names = list(splits)
    return st.selectbox(
        label,
        names,
        index=names.index(usual) if usual in splits else 0,
        format_func=lambda name: f"{name} ({words.count(splits[name], 'question')})",
        key=key,
    )


def _base(kind: str, what: Trainable) -> str:
    """The folder of the model to begin from; empty where none is needed, or none is named yet."""
    if not what.base:
        return ""
    return st.text_input(
        "Folder of the model to begin from",
        key=f"tune_base_{kind}",
        placeholder=what.base,
        help=f"On the machine of this dashboard: {what.base}.",
    ).strip()


def _offer(view: View, arguments: list[str], *, ready: bool) -> None:
    st.code(tune_command(arguments), language="bash")
    job = jobs.tune_job(view.workspace)
    running = job is not None and job.progress.state == "running"
    if st.button("Start", key="tune_start", type="primary", disabled=running or not ready):
        jobs.start_tune(view.workspace, arguments)
        st.rerun()
