"""Drift: the weekly metrics, and which of them moved away from the reference weeks."""

import streamlit as st

from ragdiag.drift.segments import comparable, largest
from ragdiag.drift.weekly import (
    ALL,
    WEEKLY_METRICS,
    estimates,
    moved_beside,
    moved_together,
    weekly_cells,
)
from ragdiag.store.queries import Filters, version_names, weeks
from ragdiag.ui import bands, charts, filters, frame, headline, palette, tables, terms, words
from ragdiag.ui import changes as table_of
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.weekly_changes import between

SPLITS = {"nothing": "all", "topic": "topic", "version": "version_id"}
LEAST = 10  # requests, for a segment's week to be drawn and its windows to be compared
MOST = 5  # lines in a chart: of more, the bands hide one another

view = frame.begin("Drift", "Decide whether quality has moved, where, and since when.")

boxes = st.columns(6)
with boxes[0]:
    kind = filters.traffic(view, "drift_")
known = sorted(row["week"] for row in fetch(view, weeks, kind))
with boxes[1]:
    split = SPLITS[filters.one_of("Split by", list(SPLITS), "split_by", "split")]
if len(known) < 2:
    st.info("Drift needs at least two weeks of requests; there is one so far.")
    st.stop()
with boxes[2]:
    recent = filters.whole_number("Newest weeks", "recent", most=len(known) - 1, usual=1)
with boxes[3]:
    longest = len(known) - recent
    reference = filters.whole_number(
        "Reference weeks", "reference", most=longest, usual=min(4, longest)
    )

before, after = known[:reference], known[-recent:]
asked = (view, Filters(traffic=kind), before, after)
told = moved_together(between(*asked, ALL)[ALL])
st.caption(
    f"Newest: {words.weeks(after)}. Reference: {words.weeks(before)}. Bands and intervals are 95 %."
)
moved = {
    movement: headline.headlines([c for c in told if c.movement == movement], None)
    for movement in ("worse", "better")
}
for movement, box in (("worse", st.error), ("better", st.success)):
    if moved[movement]:
        box("\n".join(f"- {literal(sentence)}" for sentence in moved[movement]))
if not any(moved.values()):
    st.info("No measure has moved beyond chance since the reference weeks.")

cells = fetch(view, weekly_cells, Filters(traffic=kind), split)
names = fetch(view, version_names) if split == "version_id" else {}
least = 1 if split == ALL else LEAST
segments = sorted({segment for by in cells.values() for segment in by})
drawn = largest(cells, MOST)
painted = list(names) if split == "version_id" else sorted(drawn)  # as on the other pages
columns = st.columns(2, gap="large")
for number, (name, metric) in enumerate(WEEKLY_METRICS.items()):
    series = estimates(cells, name, least=least)
    with columns[number % 2]:
        st.markdown(f"**{metric.label}**")
        if not series:
            st.caption("Nothing was measured.")
            continue
        lines = [
            bands.Line(
                "all requests" if split == ALL else names.get(segment, segment) or "no topic",
                series[segment],
                palette.colour_of(segment, painted),
            )
            for segment in painted
            if segment in drawn and segment in series
        ]
        charts.show(
            bands.bands(
                lines,
                metric.unit,
                words.AXES[metric.unit],
                height=250 if split == ALL else 320,
                shaded=(before, "reference"),
            ),
            key=f"weekly-{name}",
            alt=f"{metric.label} by week",
        )
if split != ALL:
    st.caption(
        f"Weeks in which a segment has fewer than {LEAST} requests are left out. Drawn are "
        f"{len(drawn)} of {words.count(len(segments), 'segment')}: those with the most requests."
    )

st.subheader("What moved", anchor=False)
every = {ALL: told} if split == ALL else between(*asked, split)
pairs = ((names.get(one, one) or "no topic", change) for one in every for change in every[one])
found, left_out = comparable(pairs, least, list if split == ALL else moved_beside)
if left_out:
    st.caption(
        f"{words.count(left_out, 'comparison')} left out: fewer than {least} observations in the "
        "newest or in the reference weeks."
    )
if not found:
    st.info("Nothing can be compared. Choose other newest or reference weeks above.")
    st.stop()
tables.show(
    {
        **({} if split == ALL else {"Segment": [segment for segment, _ in found]}),
        **table_of.columns([change for _, change in found], "Newest", "Reference"),
    },
    key="moved",
    height="content" if len(found) <= tables.PAGE_ROWS else "auto",
)
st.caption(terms.READ_TOGETHER if split == ALL else terms.READ_BESIDE)
