"""OTLP's answers in the encoding of the request: protobuf or JSON."""

from __future__ import annotations

import json
from typing import Any

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.responses import Response

from ragdiag.collect.commits import Taken
from ragdiag.http.refusals import Refusal

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_GRPC_CODES = {400: 3, 401: 16, 404: 12, 408: 4, 413: 3, 415: 3, 429: 8, 500: 13, 503: 14}
"""google.rpc.Code of each status: what the Status message of a failed export carries."""


def accepted(taken: Taken, signal: str, media: str) -> Response:
    """200, with ``partial_success`` where parts were refused, which are not to be sent again, or
    where there is something to be warned of (OTLP specification, "Partial Success")."""
    counted = "rejectedSpans" if signal == "traces" else "rejectedLogRecords"
    refused, told = taken.not_kept.total(), taken.told
    if media == JSON:
        partial = {counted: str(refused), "errorMessage": told}
        body = json.dumps({"partialSuccess": partial} if told else {}).encode()
        return Response(body, media_type=JSON)
    message: Any
    if signal == "traces":
        message = ExportTraceServiceResponse()
        if refused:
            message.partial_success.rejected_spans = refused
    else:
        message = ExportLogsServiceResponse()
        if refused:
            message.partial_success.rejected_log_records = refused
    if told:
        message.partial_success.error_message = told
    return Response(message.SerializeToString(), media_type=PROTOBUF)


def refused(refusal: Refusal, media: str) -> Response:
    """The refusal as google.rpc.Status, in JSON where the request was neither encoding."""
    code = _GRPC_CODES.get(refusal.status, 2)
    if media == PROTOBUF:
        body = Status(code=code, message=refusal.message).SerializeToString()
    else:
        media = JSON
        body = json.dumps({"code": code, "message": refusal.message}).encode()
    return Response(body, refusal.status, refusal.headers, media)
