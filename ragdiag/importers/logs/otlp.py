"""OTLP/JSON in files: one export, lines of exports (the collector's file exporter), or a list of
resourceSpans or of bare spans. Source: the OTLP specification, "JSON Protobuf Encoding"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ragdiag.errors import InputError
from ragdiag.importers.logs.reading import Reading, Row
from ragdiag.importers.logs.trace_format import Piece, read_spans, short
from ragdiag.spans.bounds import UNBOUNDED
from ragdiag.spans.otlp_json import spans_from_otlp_json


class OtlpFormat:
    def __init__(self, user_key: Callable[[str], str]) -> None:
        self._user_key = user_key

    def pieces(self, row: Row, *, again: bool) -> Iterator[Piece | Reading]:
        del again
        whole = row.values.keys() & {"resourceSpans", "resource_spans"}
        try:
            decoded = spans_from_otlp_json(row.values if whole else [row.values], bounds=UNBOUNDED)
        except InputError as error:
            yield Reading(row.origin, fault=error.message)
            return
        origin = short(row.origin)
        for reject in decoded.rejects:
            yield Reading(row.origin, fault=f"span {reject.line}: {reject.reason}")
        for span in decoded.spans:
            yield Piece(span.trace_id, origin, span)

    def read(self, pieces: Sequence[Piece]) -> Iterator[Reading]:
        return read_spans([p.content for p in pieces], pieces[0].origin, self._user_key)

    def left_over(self) -> Iterator[Reading]:
        return iter(())
