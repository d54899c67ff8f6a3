"""Starting a fine-tuning run, watching it, and stopping it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from ragdiag.store.judgments import split_sizes
from ragdiag.store.results import list_versions
from ragdiag.training.loop import duration
from ragdiag.training.retriever.bi_encoder_options import LOOPS
from ragdiag.training.retriever.bi_encoder_options import Method as TuningMethod
from ragdiag.ui import jobs, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.commands import tune_command
from ragdiag.ui.jobs import Job
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Method:
    """How the encoder is tuned, and what follows from it."""

    label: str
    follows: str


METHODS: dict[TuningMethod, Method] = {
    "query-lora": Method(
        "LoRA, questions only",
        "Documents keep their vectors: no index is built anew, and training is the fastest.",
    ),
    "lora": Method("LoRA, both sides", "Small weights beside the model; the index is built anew."),
    "full": Method(
        "all weights", "The most it can learn and the slowest; the index is built anew."
    ),
}


def watch(view: View) -> None:
    """The command that runs, with a way to stop it; how the last one ended, until dismissed."""
    job = jobs.tune_job(view.workspace)
    if job is not None and job.progress.state == "running":
        _poll(view)
    elif job is not None:
        _outcome(view, job)


def start(view: View) -> None:
    """What can be chosen, the command it makes, and a button that runs it in the background."""
    if view.read_only:
        st.caption("This dashboard is read-only: runs are started by `ragdiag tune` commands.")
        return
    splits = fetch(view, split_sizes)
    names = [one.name for one in fetch(view, list_versions) if one.spec.embedder is not None]
    if not names or not splits:
        missing = "a version with an embedder" if not names else "judged questions"
        st.caption(f"A retriever is tuned for {missing}; this workspace has none.")
        return
    arguments = _chosen(names, splits)
    st.code(tune_command(arguments), language="bash")
    st.caption("Rerankers, readers and generators are tuned by commands: `ragdiag tune --help`.")
    job = jobs.tune_job(view.workspace)
    running = job is not None and job.progress.state == "running"
    if st.button("Start", key="tune_start", type="primary", disabled=running):
        jobs.start_tune(view.workspace, arguments)
        st.rerun()


def _chosen(names: list[str], splits: dict[str, int]) -> list[str]:
    """The arguments of ``ragdiag tune``."""
    boxes = st.columns(4)
    with boxes[0]:
        version = st.selectbox("Version to tune", names, index=len(names) - 1, key="tune_version")
    with boxes[1]:
        split = st.selectbox(
            "Learn from split",
            list(splits),
            index=list(splits).index("train") if "train" in splits else 0,
            format_func=lambda name: f"{name} ({words.count(splits[name], 'question')})",
            key="tune_split",
        )
    with boxes[2]:
        method = st.selectbox(
            "What is trained",
            list(METHODS),
            format_func=lambda name: METHODS[name].label,
            key="tune_method",
        )
    with boxes[3]:
        epochs = st.number_input(
            "Epochs at most", 1, 50, value=LOOPS[method].epochs, key=f"tune_epochs_{method}"
        )
    st.caption(METHODS[method].follows)
    given = ["retriever", version, "--split", split, "--method", method]
    return [*given, "--epochs", str(epochs)]


@st.fragment(run_every=POLL_S)
def _poll(view: View) -> None:
    job = jobs.tune_job(view.workspace)
    if job is None or job.progress.state != "running":
        st.rerun()
        return
    st.progress(job.progress.fraction, text=literal(job.progress.message))
    st.caption(f"{duration(job.elapsed_s)} so far. You can close this page: the work goes on.")
    if not view.read_only and st.button(
        "Cancel",
        key="tune_cancel",
        help="At most a minute of work is lost: the same command goes on from the last checkpoint.",
    ):
        jobs.cancel(job)


def _outcome(view: View, job: Job) -> None:
    failed = job.progress.state == "failed"
    told = job.progress.error if failed else job.progress.message
    box = st.error if failed else st.info
    box(
        literal(told or "no reason was given"),
        title="The command " + ("failed" if failed else "ended"),
    )
    if not view.read_only and st.button("Dismiss", key="tune_dismiss"):
        jobs.forget(job)
        st.rerun()
