"""One export request's body as records for the spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ragdiag.collect.answers import JSON
from ragdiag.collect.commits import Taken
from ragdiag.records import Reject
from ragdiag.spans.feedback import read_log_event, to_record
from ragdiag.spans.otlp import decode_logs, decode_traces
from ragdiag.spans.otlp_json import logs_from_otlp_json, spans_from_otlp_json

REASONS = 5
"""How many different reasons an answer names."""


def take_traces(body: bytes, media: str) -> Taken:
    """The spans of an export of traces. Raises InputError where the body is none."""
    decoded = spans_from_otlp_json(body) if media == JSON else decode_traces(body)
    return Taken(decoded.spans, len(decoded.rejects), _reasons(decoded.rejects))


def take_logs(body: bytes, media: str) -> Taken:
    """The evaluation results of an export of logs, as grades and feedback about their traces."""
    decoded = logs_from_otlp_json(body) if media == JSON else decode_logs(body)
    opinions = [read_log_event(event) for event in decoded.events]
    records = [to_record(opinion) for opinion in opinions if opinion is not None]
    incomplete = len(opinions) - len(records)
    told = [
        (decoded.others, "log records that are no gen_ai.evaluation.result are not kept"),
        (incomplete, "a result needs a trace id, a name, and a score, label or explanation"),
        (len(decoded.rejects), _reasons(decoded.rejects)),
    ]
    refused = sum(count for count, _ in told)
    return Taken(records, refused, "; ".join(reason for count, reason in told if count))


def _reasons(rejects: Sequence[Reject]) -> str:
    counted = Counter(reject.reason for reject in rejects)
    told = [f"{reason} ({n}×)" if n > 1 else reason for reason, n in counted.most_common(REASONS)]
    more = len(counted) - len(told)
    return "; ".join([*told, *([f"and {more} other reasons"] if more > 0 else [])])
