"""What a page shows while there is nothing to read: how to get something, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from ragdiag.ui import jobs, running, words
from ragdiag.ui.jobs import Job
from ragdiag.ui.safe import literal

FIRST_SPEC = r'[embedder]\n[lexical]\n[generator]\nkind = "extractive"\n'
"""Of the version that an empty workspace is told to start with; ``printf`` reads the line ends."""


def show_welcome(failed: Job | None) -> None:
    """No workspace yet: build the demo, or import one's own."""
    if failed is not None:
        show_failure(failed)
    st.info("There is no workspace yet, so there is nothing to read. Start with one of these.")
    demo, own = st.columns(2, gap="large", border=True)
    with demo:
        st.subheader("Build the demo", anchor=False)
        st.markdown(
            "Twelve weeks of questions about the Python packages installed here, answered by six "
            "real pipelines, one of them fine-tuned, with faults put in on purpose. About seven "
            "minutes on two cores; nothing is downloaded."
        )
        if st.button("Build the demo", type="primary", key="build_demo"):
            jobs.start_demo()
            st.rerun()
    with own:
        st.subheader("Import your own", anchor=False)
        _import_form()
        st.caption(
            "Logs of a running service, or published results? JSONL, CSV, Parquet, OTLP, Phoenix "
            "and Langfuse exports are read by one command; the first of these two only shows what "
            "it would read:"
        )
        st.code(
            "python -m ragdiag import logs PATH --dry-run\npython -m ragdiag import logs PATH",
            language="bash",
        )


def show_job(job: Job) -> None:
    """A running command: what it does, and how far it is."""
    doing = {"demo": "Building the demo", "import": "Importing your corpus"}
    st.subheader(doing.get(job.name, f"Running {job.name}"), anchor=False)
    running.follow(jobs.latest_job)


def show_failure(job: Job) -> None:
    """Why a command that was started here failed or was stopped, and the ways on."""
    names = {"demo": "Building the demo", "import": "The import"}
    cancelled = job.progress.state == "cancelled"
    (st.info if cancelled else st.error)(
        literal(job.progress.error or "no reason was given"),
        title=f"{names.get(job.name, job.name)} {'was cancelled' if cancelled else 'failed'}",
    )
    st.caption(f"The whole log is in {literal(str(job.log))}. Finished parts are kept.")
    with st.container(horizontal=True):
        if job.name == "demo" and st.button("Try again", key="retry_demo", type="primary"):
            jobs.start_demo()
            st.rerun()
        if st.button("Dismiss", key="dismiss_job"):
            jobs.forget(job)
            st.rerun()


def show_next_steps(held: dict[str, Any]) -> None:
    """A workspace without requests: which commands bring it some, from where it stands."""
    if held["passages"]:
        st.info(
            f"The corpus is here ({words.count(held['passages'], 'passage')}, "
            f"{words.count(held['questions'], 'question')}), but no question has been asked yet. "
            "Run these, then come back:"
        )
    else:
        st.info(
            "This workspace is empty. Import the log of a service "
            "(python -m ragdiag import logs PATH), or run these, then come back:"
        )
    steps = [
        ("python -m ragdiag import corpus PATH", not held["passages"]),
        ("python -m ragdiag import gold questions.jsonl", not held["questions"]),
        (f"printf '{FIRST_SPEC}' > v1.toml", not held["versions"]),
        ("python -m ragdiag version add v1 --spec v1.toml", not held["versions"]),
        ("python -m ragdiag index build v1", not held["builds"]),
        ("python -m ragdiag evaluate v1 --split test", True),
        ("python -m ragdiag diagnose v1 --split test", True),
    ]
    st.code("\n".join(command for command, needed in steps if needed), language="bash")
    if not held["questions"]:
        st.caption(
            "A line of questions.jsonl: "
            '`{"question": "…", "answers": ["…"], "passages": {"PASSAGE_ID": 1}, "split": "test"}`'
        )


def _import_form() -> None:
    with st.form("import", border=False):
        given = st.text_input(
            "Path on this machine",
            placeholder="/path/to/corpus",
            help="A BEIR folder (corpus.jsonl, queries.jsonl, qrels/), a JSONL file, "
            "or a folder of .txt, .md or .html files",
        )
        if not st.form_submit_button("Import"):
            return
    path = Path((given or "").strip()).expanduser()
    if not (given or "").strip() or not path.exists():
        st.error(f"{literal(str(given) or 'an empty path')} is not there; name a file or a folder.")
        return
    jobs.start_import(path.resolve())
    st.rerun()
