"""One export request's body as records for the spool."""

from __future__ import annotations

from collections import Counter

from ragdiag.collect.answers import JSON
from ragdiag.collect.commits import Taken
from ragdiag.records import Reject
from ragdiag.spans.bounds import ExportBounds
from ragdiag.spans.building import excerpt
from ragdiag.spans.feedback import read_log_event, to_records
from ragdiag.spans.otlp import decode_logs, decode_traces
from ragdiag.spans.otlp_json import logs_from_otlp_json, spans_from_otlp_json

NO_RESULT = "log records that are no gen_ai.evaluation.result are not kept"
INCOMPLETE = "a result needs a trace id, a name, and a score, label or explanation"


def take_traces(body: bytes, media: str, bounds: ExportBounds) -> Taken:
    """The spans of an export of traces. Raises InputError where the body is none."""
    decode = spans_from_otlp_json if media == JSON else decode_traces
    decoded = decode(body, bounds=bounds)
    return Taken(decoded.spans, decoded.refused, decoded.rejects, decoded.remarks)


def take_logs(body: bytes, media: str, bounds: ExportBounds) -> Taken:
    """The evaluation results of an export of logs, as grades and feedback about their traces."""
    decode = logs_from_otlp_json if media == JSON else decode_logs
    decoded = decode(body, bounds=bounds)
    read = [(event, read_log_event(event)) for event in decoded.events]
    records = to_records(opinion for _, opinion in read if opinion is not None)
    incomplete = [event for event, opinion in read if opinion is None]
    told = [
        Reject("otlp", 0, INCOMPLETE, excerpt(one.trace_id, one.span_id, one.event.name))
        for one in incomplete[: bounds.rejects]
    ]
    return Taken(
        records,
        decoded.refused + Counter({INCOMPLETE: len(incomplete)}),
        [*decoded.rejects, *told],
        unread=Counter({NO_RESULT: decoded.others} if decoded.others else {}),
    )
