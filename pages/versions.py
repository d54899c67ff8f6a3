"""Versions: two versions on the same questions."""

import streamlit as st

from ragdiag.drift.latency import QUANTILES, stage_quantiles
from ragdiag.drift.tallies import square_and_add
from ragdiag.errors import UnknownName
from ragdiag.store.queries import Filters, evaluated
from ragdiag.ui import (
    charts,
    costs,
    filters,
    forest,
    frame,
    grader_note,
    palette,
    tables,
    versus,
    words,
)
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal

view = frame.begin("Versions", "Decide whether version B should replace version A.")

held = fetch(view, evaluated)
ids = {name: found for name, found in filters.version_ids(view).items() if found in held}
if len(ids) < 2:
    st.info(
        "Comparing needs two versions that were evaluated on the same split; "
        f"{words.count(len(ids), 'version')} so far. Evaluate another:"
    )
    st.code("python -m ragdiag evaluate VERSION --split SPLIT", language="bash")
    st.stop()
boxes = st.columns([1, 1, 1, 2])
splits = sorted({split for found in held.values() for split in found})
with boxes[0]:
    split = filters.one_of("Split", splits, "split", "split")
names = [name for name, found in ids.items() if split in held[found]]
with boxes[1]:
    before_newest = max(len(names) - 2, 0)
    a = filters.one_of("A, the incumbent", names, "a", "version", before_newest)
with boxes[2]:
    b = filters.one_of("B, the candidate", names, "b", "version", len(names) - 1)
if a == b:
    st.info("A and B are the same version. Choose two that were evaluated on this split.")
    st.stop()
try:
    compared = fetch(view, versus.compare, ids[a], ids[b], split)
except UnknownName as error:
    st.warning(literal(str(error)))
    st.stop()
if not compared.pairs:
    st.info("These two versions have not been asked the same questions of this split.")
    st.stop()

sides = [
    {row.stage: row.quantiles for row in fetch(view, stage_quantiles, Filters("evaluation", side))}
    for side in (ids[a], ids[b])
]
first, second = (side.get("total") for side in sides)
text, mood = versus.sentence(compared)
text = " ".join([text, versus.answers(compared), versus.speed(first, second)])
{"better": st.success, "worse": st.error, "mixed": st.warning, "same": st.info}[mood](literal(text))

st.subheader("Quality, question by question", anchor=False)
metrics = list(compared.metrics)
charts.show(
    charts.points(
        metrics,
        [("B − A", [compared.metrics[m].paired.difference for m in metrics], palette.BLUE)],
        "score",
        "difference B − A (right of 0: B is better)",
        zero=True,
    ),
    key="differences",
    alt="Difference B − A of each metric with its 95 % interval",
)
tables.show(versus.table(compared), key="metrics")
st.caption(literal(f"{versus.footnote(compared)} {grader_note.note(view)}"))

st.subheader("Kinds of questions", anchor=False)
measure_box, _ = st.columns([1, 4])
with measure_box:
    telling = versus.telling_measure(compared)
    measure = filters.one_of("Measure", metrics, "measure", "measure", telling)
forest.show_slices(compared, measure)

st.subheader(f"Wins and losses by question: {measure}", anchor=False)
page_box, _ = st.columns([1, 4])
moved = versus.moved_questions(compared, measure)
st.markdown(versus.tally(compared, measure))
if moved:
    with page_box:
        offset = tables.page_offset(len(moved), "versions_page")
    tables.show(
        versus.question_table(moved[offset : offset + tables.PAGE_ROWS], measure),
        key="questions",
        config=versus.QUESTION_COLUMNS,
    )

st.subheader("Latency of the whole request", anchor=False)
if first and second:
    tables.show(
        {
            "Quantile": list(QUANTILES),
            "A (95 % interval, n)": [words.with_interval(first[q], "ms") for q in QUANTILES],
            "B (95 % interval, n)": [words.with_interval(second[q], "ms") for q in QUANTILES],
            "Change B − A": [
                words.change(square_and_add(first[q], second[q]), "ms") for q in QUANTILES
            ],
        },
        key="latency",
    )
    st.caption("Over all evaluation requests of each version.")
else:
    st.caption("One of the versions was not timed.")

st.subheader("What a million queries cost", anchor=False)
costs.draw_two(view, ids[a], ids[b])
