"""Spans in files: OTLP in its three shapes, Phoenix's and Langfuse's exports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdiag.importers.logs import trace_files
from ragdiag.importers.logs.containers import read_rows
from ragdiag.importers.logs.phoenix import PhoenixFormat
from ragdiag.importers.logs.trace_format import Piece
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.forgotten import add_forgotten, user_tombstone
from tests.importers.logs.conftest import Import, contents, write_table

Stored = Callable[[], dict[str, Request]]
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
TRACES = 3


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def trace_id(n: int) -> str:
    return f"{n + 1:032x}"


def span_id(n: int, part: int) -> str:
    return f"{n * 10 + part:016x}"


def spans(n: int) -> list[tuple[str, str, float, float, dict[str, Any]]]:
    """(name, kind, start, end, attributes) of a trace: chain, retriever, model call."""
    found, other = f"Item {n} is set to {n}.", "Nothing of the sort."
    documents = [
        {"document.id": f"d{n}", "document.content": found, "document.score": 0.75},
        {"document.content": other, "document.score": 0.25},
    ]
    asked = f"How is item {n} set?"
    prompt = [{"message.role": "user", "message.content": f"{found} {other} {asked}"}]
    answer = [{"message.role": "assistant", "message.content": f"To {n}."}]
    chain = {
        "input.value": asked,
        "output.value": f"To {n}.",
        "user.id": "ann",
        "metadata": {"topic": "items"},
        "ragdiag.version": "bot-7",
    }
    call = {
        "llm.input_messages": prompt,
        "llm.output_messages": answer,
        "llm.token_count.prompt": 40,
        "llm.token_count.completion": 3,
    }
    return [
        ("query", "CHAIN", n, n + 1.5, chain),
        ("retrieve", "RETRIEVER", n, n + 0.5, {"retrieval.documents": documents}),
        ("llm", "LLM", n + 0.5, n + 1.5, call),
    ]


def phoenix_rows() -> list[dict[str, Any]]:
    """As ``get_spans_dataframe`` gives them."""
    return [
        {
            "name": name,
            "span_kind": kind,
            "parent_id": None if part == 0 else span_id(n, 0),
            "start_time": at(start),
            "end_time": at(end),
            "status_code": "OK",
            "status_message": "",
            "events": [],
            "context.span_id": span_id(n, part),
            "context.trace_id": trace_id(n),
            **{f"attributes.{key}": value for key, value in attributes.items()},
        }
        for n in range(TRACES)
        for part, (name, kind, start, end, attributes) in enumerate(spans(n))
    ]


def check(requests: dict[str, Request]) -> None:
    assert set(requests) == {trace_id(n) for n in range(TRACES)}
    for n in range(TRACES):
        request = requests[trace_id(n)]
        assert (request.question, request.answer) == (f"How is item {n} set?", f"To {n}.")
        assert request.asked_at == at(n)
        assert (request.version_id, request.topic) == ("bot-7", "items")
        assert [hit.score for hit in request.fused] == [0.75, 0.25]
        assert request.fused[0].passage_id == f"d{n}"
        assert request.fused[1].passage_id.startswith("text:")
        assert [hit.passage_id for hit in request.context] == [h.passage_id for h in request.fused]
        assert (request.prompt_tokens, request.completion_tokens) == (40, 3)
        assert request.latency_ms["total"] == 1500.0
        assert request.user_key not in (None, "ann")


def otlp_span(n: int, part: int) -> dict[str, Any]:
    name, kind, start, end, attributes = spans(n)[part]
    named = {**attributes, "openinference.span.kind": kind}
    return {
        "traceId": trace_id(n),
        "spanId": span_id(n, part) if part else f"{n * 10 + 9:016x}",
        "parentSpanId": f"{n * 10 + 9:016x}" if part else "",
        "name": name,
        "startTimeUnixNano": str(int(at(start).timestamp() * 1e9)),
        "endTimeUnixNano": str(int(at(end).timestamp() * 1e9)),
        "attributes": [
            {"key": key, "value": {"stringValue": v} if isinstance(v, str) else otlp_value(v)}
            for key, v in named.items()
        ],
    }


def otlp_value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": json.dumps(value)}


def resource_spans(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}


@pytest.mark.parametrize("shape", ["document", "lines", "spans"])
def test_otlp_json_in_its_shapes(load: Import, stored: Stored, tmp_path: Path, shape: str) -> None:
    found = [otlp_span(n, part) for part in (2, 0, 1) for n in range(TRACES)]
    if shape == "document":
        (tmp_path / "otlp.json").write_text(json.dumps(resource_spans(found)))
    elif shape == "lines":  # the collector's file exporter: a batch a line, traces spread over them
        lines = [json.dumps(resource_spans([one])) for one in found]
        (tmp_path / "otlp.jsonl").write_text("\n".join([*lines, "not JSON"]))
    else:
        (tmp_path / "otlp.json").write_text(json.dumps(found))
    report = load(tmp_path)
    check(stored())
    assert report.format == "otlp"
    assert report.kinds["passage"].new == TRACES + 1
    assert sum(report.reasons.values()) == (shape == "lines")


def test_a_bad_span_costs_only_itself(load: Import, stored: Stored, tmp_path: Path) -> None:
    found = [otlp_span(0, part) for part in range(3)] + [{**otlp_span(1, 1), "spanId": "zz"}]
    (tmp_path / "otlp.json").write_text(json.dumps(resource_spans(found)))
    report = load(tmp_path / "otlp.json")
    assert set(stored()) == {trace_id(0)}
    assert "span 4: span id 'zz'" in report.rejects[0].reason


def test_every_bad_span_of_a_file_is_a_reject(
    load: Import, stored: Stored, lake: Lake, tmp_path: Path
) -> None:
    bad = [{**otlp_span(1, 1), "spanId": "zz"}] * 25
    (tmp_path / "otlp.json").write_text(json.dumps(resource_spans([otlp_span(0, 0), *bad])))
    report = load(tmp_path / "otlp.json")
    assert (len(stored()), sum(report.reasons.values())) == (1, 25)
    assert lake.rows("select count(*) as n from rejects") == [{"n": 25}]


@pytest.mark.parametrize("name", ["spans.parquet", "spans.csv", "spans.jsonl"])
def test_phoenix_dataframes(load: Import, stored: Stored, tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(phoenix_rows()).sample(frac=1.0, random_state=7)
    path = tmp_path / name
    if path.suffix == ".parquet":
        frame.set_index("context.span_id", drop=False).to_parquet(path)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True, date_format="iso", date_unit="us")
    assert load(path).format == "phoenix"
    check(stored())


def test_phoenix_prompts_tell_what_of_the_list_reached_the_model(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    rows = phoenix_rows()
    for n, row in enumerate(rows[2::3]):
        said = f"Item {n} is set to {n}. How is item {n} set?"
        row["attributes.llm.input_messages"] = [{"message.role": "user", "message.content": said}]
    pd.DataFrame(rows).to_parquet(tmp_path / "log.parquet")
    load(tmp_path / "log.parquet")
    requests = stored()
    for n in range(TRACES):
        request = requests[trace_id(n)]
        assert [len(request.fused), *(hit.passage_id for hit in request.context)] == [2, f"d{n}"]


def test_a_phoenix_model_call_alone_is_a_request(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    calls = [{**row, "parent_id": None} for row in phoenix_rows()[2::3]]
    write_table(tmp_path / "log.jsonl", json.loads(json.dumps(calls, default=str)))
    assert load(tmp_path / "log.jsonl").rejects == ()
    requests = [stored()[trace_id(n)] for n in range(TRACES)]
    assert [request.answer for request in requests] == [f"To {n}." for n in range(TRACES)]
    assert all(f"How is item {n} set?" in one.question for n, one in enumerate(requests))


def test_phoenix_api_pages_and_annotations(
    load: Import, stored: Stored, lake: Lake, tmp_path: Path
) -> None:
    page = [
        {
            "name": row["name"],
            "span_kind": row["span_kind"],
            "parent_id": row["parent_id"],
            "start_time": row["start_time"].isoformat(),
            "end_time": row["end_time"].isoformat(),
            "status_code": "OK",
            "context": {"trace_id": row["context.trace_id"], "span_id": row["context.span_id"]},
            "attributes": {
                key.removeprefix("attributes."): value
                for key, value in row.items()
                if key.startswith("attributes.")
            },
        }
        for row in phoenix_rows()
    ]
    (tmp_path / "spans.json").write_text(json.dumps({"data": page, "next_cursor": None}))
    annotations = [
        {
            "span_id": span_id(0, 0),
            "annotation_name": "correctness",
            "annotator_kind": "LLM",
            "result.score": 0.0,
            "result.label": "incorrect",
            "result.explanation": "It is 7.",
        },
        {
            "span_id": span_id(1, 2),
            "annotation_name": "user feedback",
            "annotator_kind": "HUMAN",
            "result.label": "thumbs-up",
        },
        {"span_id": "ff", "annotation_name": "x", "annotator_kind": "CODE", "result.score": 1.0},
        {
            "span_id": span_id(1, 0),
            "annotation_name": "x",
            "result.score": 1.0,
            "created_at": "yesterday",
        },
    ]
    pd.DataFrame(annotations).to_parquet(tmp_path / "annotations.parquet")
    report = load(tmp_path)
    check(stored())
    graded = lake.rows("select request_id, grader, y, reason from grades")
    assert graded == [
        {"request_id": trace_id(0), "grader": "correctness", "y": 0, "reason": "It is 7."}
    ]
    said = lake.rows("select request_id, kind, value from feedback")
    assert said == [{"request_id": trace_id(1), "kind": "thumbs", "value": 1.0}]
    undated, elsewhere = sorted(one.reason for one in report.rejects)
    assert "yesterday" in undated
    assert "the span 'ff', which is not here" in elsewhere
    before = contents(lake)
    load(tmp_path)
    assert contents(lake) == before


def test_of_one_graders_annotations_the_latest_counts(
    load: Import, lake: Lake, tmp_path: Path
) -> None:
    pd.DataFrame(phoenix_rows()).to_parquet(tmp_path / "spans.parquet")
    annotations = [
        {
            "span_id": span_id(0, 0),
            "annotation_name": "correctness",
            "annotator_kind": "LLM",
            "result.label": label,
            "created_at": at(seconds).isoformat(),
        }
        for label, seconds in (("incorrect", 90), ("correct", 60))
    ]
    pd.DataFrame(annotations).to_parquet(tmp_path / "annotations.parquet")
    load(tmp_path)
    assert lake.rows("select y from latest_grades") == [{"y": 0}]


def test_columns_of_phoenix_that_nothing_reads_are_told(
    load: Import, write_lines: Callable[..., Path]
) -> None:
    rows = [
        {**row, "start_time": str(row["start_time"]), "end_time": str(row["end_time"])}
        for row in phoenix_rows()
    ]
    assert load(write_lines("spans.jsonl", *rows)).unread_columns == {}
    extra = [{**row, "colour": "red" if n else None} for n, row in enumerate(rows)]
    note = {"span_id": span_id(0, 0), "annotation_name": "tone", "annotator_kind": "LLM"}
    note |= {"result.score": 1.0, "created_at": "2026-01-05", "id": "a", "weather": "fair"}
    report = load(write_lines("more.jsonl", *extra, note))
    assert report.unread_columns == {"colour": len(rows) - 1, "weather": 1}


def langfuse(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def langfuse_observations() -> list[dict[str, Any]]:
    """Rows of ``observations/``, by the fields of Langfuse's reference."""
    rows = []
    for n in range(TRACES):
        for part, (name, kind, start, end, given) in enumerate(spans(n)[1:]):
            found = [
                {
                    "page_content": one["document.content"],
                    "metadata": {
                        "score": one["document.score"],
                        **({"id": one["document.id"]} if "document.id" in one else {}),
                    },
                }
                for one in given.get("retrieval.documents", [])
            ]
            prompt = [
                {"role": "user", "content": one["message.content"]}
                for one in given.get("llm.input_messages", [])
            ]
            rows.append(
                {
                    "id": f"o{n}{part}",
                    "trace_id": trace_id(n),
                    "project_id": "p",
                    "environment": "production",
                    "type": "RETRIEVER" if kind == "RETRIEVER" else "GENERATION",
                    "parent_observation_id": "",
                    "start_time": langfuse(at(start)),
                    "end_time": langfuse(at(end)),
                    "name": name,
                    "metadata": {},
                    "level": "DEFAULT",
                    "status_message": "",
                    "version": "",
                    "input": json.dumps(prompt) if prompt else f"How is item {n} set?",
                    "output": json.dumps(found) if found else f"To {n}.",
                    "provided_model_name": "m",
                    "usage_details": {"input": 40, "output": 3} if prompt else {},
                    "cost_details": {"total": 0.002} if prompt else {},
                    "total_cost": 0.002 if prompt else 0.0,
                }
            )
    return rows


def langfuse_traces() -> list[dict[str, Any]]:
    return [
        {
            "id": trace_id(n),
            "timestamp": langfuse(at(n)),
            "name": "qa",
            "environment": "production",
            "project_id": "p",
            "metadata": {"topic": "items"},
            "user_id": "ann",
            "session_id": None,
            "release": "bot-7",
            "version": None,
            "tags": ["a"],
            "input": json.dumps({"question": f"How is item {n} set?"}),
            "output": f"To {n}.",
        }
        for n in range(TRACES)
    ]


def langfuse_scores() -> list[dict[str, Any]]:
    said = [
        ("user-feedback", 0, "API", "BOOLEAN", None),
        ("correctness", 1, "EVAL", "BOOLEAN", None),
        ("helpfulness", 0.4, "EVAL", "NUMERIC", None),
        ("tone", 0, "ANNOTATION", "TEXT", "too short"),
    ]
    return [
        {
            "id": f"s{number}",
            "timestamp": langfuse(at(60)),
            "project_id": "p",
            "trace_id": trace_id(0),
            "observation_id": None,
            "name": name,
            "value": value,
            "source": source,
            "comment": None,
            "data_type": kind,
            "string_value": text,
        }
        for number, (name, value, source, kind, text) in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 40, "output": 3, "total": 43}, (40, 3)),
        (
            {"input": 40, "input_cached_tokens": 1000, "output": 3, "output_reasoning_tokens": 2},
            (1040, 5),
        ),
        ({"input": 40, "output": 3, "inputCost": 0.1, "input_cost": 0.1}, (40, 3)),
        ({"promptTokens": 40, "completionTokens": 3}, (40, 3)),
        ({"input": None}, (None, None)),
        (
            {
                "input": 40,
                "input_tokens": 40,
                "input_tokens_details": {"cached_tokens": 8},
                "input_unit": "TOKENS",
                "output_tokens": 3,
                "output_format": "text",
            },
            (40, 3),
        ),
        (
            {
                "input_tokens": 40,
                "cache_read_input_tokens": 1000,
                "cache_creation_input_tokens": 200,
                "cache_creation": {"ephemeral_5m_input_tokens": 200},
                "output_tokens": 3,
            },
            (1240, 3),
        ),
    ],
)
def test_the_tokens_of_langfuse_are_all_of_a_side(
    load: Import,
    stored: Stored,
    write_lines: Callable[..., Path],
    usage: dict[str, Any],
    tokens: tuple[int | None, int | None],
) -> None:
    rows = [
        {**row, "usage_details": usage if row["usage_details"] else {}}
        for row in langfuse_observations()
    ]
    load(write_lines("observations.jsonl", *rows))
    told = {(one.prompt_tokens, one.completion_tokens) for one in stored().values()}
    assert told == {tokens}


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_a_langfuse_export(
    load: Import, stored: Stored, lake: Lake, tmp_path: Path, suffix: str
) -> None:
    files = {
        "observations": langfuse_observations(),
        "traces": langfuse_traces(),
        "scores": langfuse_scores(),
    }
    for name, rows in files.items():
        folder = tmp_path / "export" / name
        folder.mkdir(parents=True)
        path = folder / f"2026-01-05.{suffix}"
        if suffix == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        elif suffix == "json":
            path.write_text(json.dumps(rows))
        else:
            texts = [
                {k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in row.items()}
                for row in rows
            ]
            frame = pd.DataFrame(texts)
            frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    assert load(tmp_path / "export").format == "langfuse"
    check(stored())
    assert {request.cost_usd for request in stored().values()} == {0.002}
    graded = lake.rows("select grader, y, score, reason from grades order by grader")
    assert graded == [
        {"grader": "correctness", "y": 1, "score": 1.0, "reason": ""},
        {"grader": "helpfulness", "y": None, "score": 0.4, "reason": ""},
        {"grader": "tone", "y": None, "score": None, "reason": "too short"},
    ]
    assert lake.rows("select value from feedback") == [{"value": -1.0}]


GAP = float("nan")
"""As a dataframe's column has it where a cell is empty."""


def write_gaps(path: Path, rows: list[dict[str, Any]], *gaps: str) -> Path:
    """Rows as Parquet whose columns of ``gaps`` hold NaN alone, as numbers."""
    return write_table(path, [{**row, **dict.fromkeys(gaps, GAP)} for row in rows])


def test_nan_in_langfuses_parquet_is_an_empty_cell(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    usage = [{"input": 40.0, "output": GAP}, json.dumps({"input": 40, "output": GAP})]
    for number, given in enumerate(usage):
        rows = [
            {**row, "usage_details": given, "metadata": None, "cost_details": None}
            for row in langfuse_observations()
            if row["type"] == "GENERATION"
        ]
        for row in rows:
            row.update(id=f"{row['id']}-{number}", trace_id=f"{row['trace_id']}{number}")
        gaps = ["end_time", "parent_observation_id", "user_id", "session_id", "release"]
        gaps += ["total_cost", "provided_model_name", "status_message", "version", "name"]
        write_gaps(tmp_path / f"{number}.parquet", rows, *gaps)
        assert load(tmp_path / f"{number}.parquet").rejects == ()
    told = {
        (one.prompt_tokens, one.completion_tokens, one.cost_usd, one.user_key, one.version_id)
        for one in stored().values()
    }
    assert told == {(40, None, None, None, "unversioned")}
    assert len(stored()) == 2 * TRACES


def test_nan_in_phoenixs_parquet_is_an_empty_cell(tmp_path: Path) -> None:
    gaps = ("parent_id", "name", "status_message", "attributes.user.id", "attributes.metadata")
    path = write_gaps(tmp_path / "spans.parquet", phoenix_rows(), *gaps)
    read = PhoenixFormat(str, Counter())
    pieces = [piece for row, _ in read_rows(path) for piece in read.pieces(row, again=True)]
    spans = [piece.content for piece in pieces if isinstance(piece, Piece)]
    assert len(spans) == len(pieces) == len(phoenix_rows())
    assert {(span.parent_id, span.name, span.error) for span in spans} == {(None, "", None)}
    assert {"user.id", "metadata"}.isdisjoint(name for span in spans for name in span.attributes)


def test_what_is_no_time_or_number_names_its_field(
    load: Import, write_lines: Callable[..., Path]
) -> None:
    first, *_ = langfuse_observations()
    changes = [
        {"start_time": "soon"},
        {"end_time": "late"},
        {"total_cost": "much"},
        {"usage_details": {"input": "many"}},
    ]
    rows = [{**first, "id": str(n), **one} for n, one in enumerate(changes)]
    score = {**langfuse_scores()[1], "value": "good"}
    assert load(write_lines("langfuse.jsonl", *rows, score)).reasons == {
        "start_time: … is no time": 1,
        "end_time: … is no time": 1,
        "total_cost: … is no number": 1,
        "usage_details: … is no number": 1,
        "value: … is no number": 1,
    }
    span = {**phoenix_rows()[0], "start_time": "soon", "end_time": None}
    reasons = load(write_lines("phoenix.jsonl", span)).reasons
    assert reasons == {"start_time: … is no time": 1}


def test_maps_in_langfuses_parquet_are_read(load: Import, stored: Stored, tmp_path: Path) -> None:
    rows = [{**row, "user_id": "ann", "release": "bot-7"} for row in langfuse_observations()]
    kinds = {"usage_details": pa.int64(), "cost_details": pa.float64(), "metadata": pa.string()}
    columns: dict[str, Any] = {
        name: [row[name] for row in rows] for name in rows[0] if name != "total_cost"
    }
    columns["metadata"] = [{"topic": "items"}] * len(rows)
    for name, kind in kinds.items():
        pairs = [list(cell.items()) for cell in columns[name]]
        columns[name] = pa.array(pairs, pa.map_(pa.string(), kind))
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    load(tmp_path / "log.parquet")
    told = {
        (one.prompt_tokens, one.completion_tokens, one.cost_usd, one.topic)
        for one in stored().values()
    }
    assert told == {(40, 3, 0.002, "items")}


def test_of_one_graders_scores_the_latest_counts(load: Import, lake: Lake, tmp_path: Path) -> None:
    score = {**langfuse_scores()[1], "name": "reviewer:ada", "value": None}
    scores = [
        {**score, "id": label, "string_value": label, "timestamp": langfuse(at(seconds))}
        for label, seconds in (("incorrect", 90), ("correct", 60))
    ]
    path = tmp_path / "export.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*langfuse_traces(), *scores]))
    load(path)
    assert lake.rows("select y from latest_grades") == [{"y": 0}]


@pytest.mark.parametrize("first", ["traces", "scores"])
def test_scores_of_a_forgotten_users_trace_do_not_come_by_themselves(
    load: Import, lake: Lake, workspace: Workspace, tmp_path: Path, first: str
) -> None:
    gone = user_tombstone(workspace, user_key(workspace, "ann"))
    lake.write(lambda cursor: add_forgotten(cursor, [gone]))
    traces = [{**row, "user_id": "ann"} for row in langfuse_traces()]
    exports = {"traces": traces, "scores": langfuse_scores()}
    for name in sorted(exports, key=lambda name: name != first):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in exports[name]))
        load(path, format="langfuse")
    assert [lake.rows(f"from {table}") for table in ("requests", "grades", "feedback")] == [[]] * 3


def test_fields_of_langfuse_that_nothing_reads_are_told(
    load: Import, write_lines: Callable[..., Path]
) -> None:
    rows = [*langfuse_observations(), *langfuse_traces(), *langfuse_scores()]
    extra = [{**row, "costCentre": 7} for row in langfuse_scores()]
    report = load(write_lines("log.jsonl", *rows[: -len(extra)], *extra))
    assert report.unread_columns == {"project_id": len(rows), "costCentre": 4, "tags": TRACES}


def test_what_a_langfuse_trace_holds_is_told_alike(
    load: Import, write_lines: Callable[..., Path]
) -> None:
    first, *_ = langfuse_traces()
    inner = [{**row, "colour": "red"} for row in langfuse_observations()[:2]]
    whole = {**first, "observations": inner, "scores": langfuse_scores()}
    report = load(write_lines("log.jsonl", whole))
    assert report.unread_columns == {"project_id": 7, "colour": 2, "tags": 1}


def test_enriched_observations_need_no_traces(load: Import, stored: Stored, tmp_path: Path) -> None:
    rows = [
        {**row, "user_id": "ann", "session_id": None, "trace_name": "qa", "release": "bot-7"}
        for row in langfuse_observations()
    ]
    camel = {"trace_id": "traceId", "start_time": "startTime", "end_time": "endTime"}
    named = [{camel.get(name, name): value for name, value in row.items()} for row in rows]
    (tmp_path / "log.json").write_text(json.dumps({"data": named, "meta": {"page": 1}}))
    load(tmp_path / "log.json")
    assert {request.answer for request in stored().values()} == {f"To {n}." for n in range(TRACES)}
    assert {request.version_id for request in stored().values()} == {"bot-7"}
    assert {request.latency_ms["total"] for request in stored().values()} == {1500.0}


def test_a_langfuse_call_that_was_made_again_failed_only_if_the_last_one_did(
    load: Import, stored: Stored, tmp_path: Path
) -> None:
    rows = langfuse_observations()
    for row in (
        rows[0],
        rows[3],
    ):  # of the first trace the first observation, of the second the last
        row |= {"level": "ERROR", "status_message": "rate limit"}
    load(write_table(tmp_path / "log.jsonl", rows))
    errors = [stored()[trace_id(n)].error for n in range(TRACES)]
    assert errors == [None, "rate limit", None]


@pytest.mark.parametrize("kind", ["otlp", "phoenix", "langfuse"])
def test_a_span_in_two_overlapping_files_counts_once(
    load: Import, stored: Stored, tmp_path: Path, kind: str
) -> None:
    rows = {
        "otlp": [resource_spans([otlp_span(n, part)]) for n in range(TRACES) for part in range(3)],
        "phoenix": json.loads(json.dumps(phoenix_rows(), default=str)),
        "langfuse": [*langfuse_traces(), *langfuse_observations()],
    }[kind]
    write_table(tmp_path / "1.jsonl", rows)
    write_table(tmp_path / "2.jsonl", rows[2:])
    report = load(tmp_path)
    assert report.rejects == ()
    check(stored())


def test_a_row_that_names_no_trace_or_no_time_is_a_reject(load: Import, tmp_path: Path) -> None:
    first, *rest = langfuse_observations()
    rows = [*rest, {**first, "trace_id": ""}, {**first, "id": "x", "start_time": None}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = load(tmp_path / "log.jsonl")
    assert report.reasons == {
        "the row names no trace": 1,
        "an observation without a start time": 1,
    }


def test_a_trace_whose_observations_are_a_printed_array_is_a_reject(
    load: Import, stored: Stored, write_lines: Callable[..., Path]
) -> None:
    first, second, *_ = langfuse_traces()
    inner = [row for row in langfuse_observations() if row["trace_id"] == (second.get("id") or "")]
    report = load(
        write_lines(
            "log.jsonl", {**first, "observations": "['o1' 'o2']"}, {**second, "observations": inner}
        )
    )
    assert len(report.rejects) >= 1
    assert second["id"] in stored()


def test_too_many_open_traces_are_refused(
    load: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragdiag.errors import InputError

    monkeypatch.setattr(trace_files, "MAX_OPEN_PIECES", 2)
    rows = [otlp_span(n, part) for part in range(3) for n in range(TRACES)]
    (tmp_path / "otlp.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match="sort the export by trace"):
        load(tmp_path / "otlp.json")
