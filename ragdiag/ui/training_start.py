"""Starting a fine-tuning run: what can be chosen, and the command that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from ragdiag.store.judgments import split_sizes
from ragdiag.store.results import list_versions
from ragdiag.training.reranker.cross_encoder import CrossEncoderOptions
from ragdiag.training.retriever.bi_encoder_options import LOOPS
from ragdiag.ui import jobs, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.commands import tune_command
from ragdiag.ui.view import View
from ragdiag.workflows.tuning.answer_options import GeneratorTuning, ReaderTuning


@dataclass(frozen=True, slots=True)
class Trainable:
    """What ``ragdiag tune`` trains by ``command`` and ``options``, and what follows from it.
    ``base`` says which model the user has to name, if any."""

    label: str
    follows: str
    command: str
    epochs: int
    options: tuple[str, ...] = ()
    base: str = ""


TRAINABLE = {
    "query-lora": Trainable(
        "retriever: LoRA, questions only",
        "Documents keep their vectors: no index is built anew, and training is the fastest.",
        "retriever",
        LOOPS["query-lora"].epochs,
        ("--method", "query-lora"),
    ),
    "lora": Trainable(
        "retriever: LoRA, both sides",
        "Small weights beside the model; the index is built anew.",
        "retriever",
        LOOPS["lora"].epochs,
        ("--method", "lora"),
    ),
    "full": Trainable(
        "retriever: all weights",
        "The most it can learn and the slowest; the index is built anew.",
        "retriever",
        LOOPS["full"].epochs,
        ("--method", "full"),
    ),
    "reranker": Trainable(
        "reranker",
        "Reorders what the version retrieves. Answers take longer; the gate weighs that.",
        "reranker",
        CrossEncoderOptions().loop.epochs,
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
    if len(splits) == 1:
        st.caption(
            "What is learnt from one split is tested on another; the only one here is "
            f"`{next(iter(splits))}`. Judged questions of a second one come in by "
            '`ragdiag import beir` (`qrels/SPLIT.tsv`) or `ragdiag import gold` (`"split"`).'
        )
        return
    boxes = st.columns([3, 3, 2, 2, 2])
    with boxes[0]:
        kind = st.selectbox(
            "What is trained",
            list(TRAINABLE),
            format_func=lambda name: TRAINABLE[name].label,
            key="tune_method",
        )
    what = TRAINABLE[kind]
    embeds = what.command == "retriever"
    names = [one.name for one in versions if not embeds or one.spec.embedder is not None]
    if not names:
        st.caption("A retriever is tuned for a version with an embedder; this workspace has none.")
        return
    with boxes[1]:
        version = st.selectbox("For version", names, index=len(names) - 1, key="tune_version")
    with boxes[3]:
        usual = next(one for one in ("test", *splits) if one in splits and one != "train")
        test = _split("Test on split", splits, usual, "tune_test")
    with boxes[2]:
        others = {name: n for name, n in splits.items() if name != test}
        split = _split("Learn from split", others, "train", "tune_split")
    with boxes[4]:
        epochs = st.number_input(
            "Epochs at most", 1, 50, value=what.epochs, key=f"tune_epochs_{kind}"
        )
    given = [what.command, version, "--split", split, "--test", test]
    given += [*what.options, "--epochs", str(epochs)]
    base = _base(kind, what)
    if what.base:
        given.append(f"--base={base or 'FOLDER'}")
    st.caption(what.follows)
    _offer(view, given, ready=bool(base) or not what.base)


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
