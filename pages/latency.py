"""Latency: how slow each stage is, against a target, and what a million queries cost."""

import streamlit as st

from ragdiag.drift import latency
from ragdiag.records import LATENCY_STAGES
from ragdiag.store.queries import Filters, version_names
from ragdiag.ui import (
    bands,
    charts,
    costs,
    degradation,
    filters,
    frame,
    palette,
    savings,
    tables,
    words,
)
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal

view = frame.begin("Latency", "Decide which stage of which version to make faster or cheaper.")

boxes = st.columns(6)
with boxes[0]:
    kind = filters.traffic(view, "latency_")
with boxes[1]:
    week = filters.any_week(view, kind, "latency_", newest_first=True)
with boxes[2]:
    version = filters.version(view, "latency_")
with boxes[3]:
    stages = ["total", *LATENCY_STAGES[:-1]]
    stage = filters.one_of("Stage", stages, "stage", "stage")
with boxes[4]:
    quantile = filters.one_of("Quantile", list(latency.QUANTILES), "quantile", "quantile", 1)
with boxes[5]:
    slo = filters.whole_number("Target for total, ms", "slo", most=None, usual=200, step=10)

names = fetch(view, version_names)
every_week = Filters(traffic=kind, version_id=version)
scope = Filters(traffic=kind, version_id=version, week=week)
by_version = fetch(view, latency.stage_quantiles, scope, "version_id")
totals = [row for row in by_version if row.stage == "total"]
if not totals:
    st.info("No request with these filters was timed. Set one of them back to “all”.")
    st.stop()

when = "over all weeks" if week is None else f"in the week of {words.week(week)}"
told = sorted(totals, key=lambda row: -row.quantiles[quantile].value)
standings = [latency.standing(row.quantiles[quantile], slo) for row in told]
sentences = [
    f"- {literal(names.get(row.segment, row.segment))}: "
    f"{words.with_interval(row.quantiles[quantile], 'ms')}, {words.against(stood, slo)}"
    for row, stood in zip(told, standings, strict=True)
]
box = st.error if "over" in standings else st.success if set(standings) == {"within"} else st.info
box(f"{quantile} of the whole request {when}:\n" + "\n".join(sentences))

st.subheader(f"{quantile} of {stage}, week by week", anchor=False)
weekly = fetch(view, latency.weekly_quantiles, every_week, stage, quantile)
charts.show(
    bands.bands(
        [
            bands.Line(names.get(segment, segment), points, palette.colour_of(segment, list(names)))
            for segment, points in sorted(weekly.items(), key=lambda item: names.get(item[0], ""))
        ],
        "ms",
        f"{quantile} of {stage}, ms",
        target=(float(slo), f"target {slo} ms") if stage == "total" else None,
        height=360,
    ),
    key="weekly",
    alt=f"{quantile} of {stage} in milliseconds by week and version",
)
st.caption("Bands: 95 % order-statistic intervals; none where a week has too few requests.")

st.subheader(f"Where the time goes, {when}", anchor=False)
if version is None and len(totals) > 1:
    st.caption("All versions together; choose a version above to see one alone.")
together = fetch(view, latency.stage_quantiles, scope)
charts.show(
    charts.points(
        [row.stage for row in together],
        [
            (name, [row.quantiles[name] for row in together], palette.SERIES[n])
            for n, name in enumerate(latency.QUANTILES)
        ],
        "ms",
        "milliseconds (logarithmic)",
        target=(float(slo), f"target {slo} ms"),
        log=True,
    ),
    key="stages",
    alt="p50, p95 and p99 of every stage in milliseconds",
)

st.subheader("Every stage and version", anchor=False)
rows = sorted(by_version, key=lambda row: (names.get(row.segment, ""), stages.index(row.stage)))
quantiles = {
    f"{name} (95 % interval, n)": [words.with_interval(row.quantiles[name], "ms") for row in rows]
    for name in latency.QUANTILES
}
versions = [names.get(row.segment, row.segment) for row in rows]
tables.show(
    {"Version": versions, "Stage": [row.stage for row in rows], **quantiles}, key="quantiles"
)

st.subheader(f"What a million queries cost, {when}", anchor=False)
costs.draw(view, scope, names)

degradation.show(view, every_week)
savings.show(fetch(view, latency.cache_effects, scope, quantile), names, quantile, when)
