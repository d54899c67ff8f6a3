"""Why a request is not taken, as an HTTP status that OpenTelemetry exporters understand.

They try again after 429 and 503 (and 502, 504), waiting as ``Retry-After`` says, and drop the
data after anything else. Source: OTLP specification, "OTLP/HTTP Response".
"""

from __future__ import annotations


class Refusal(Exception):
    """``retry_after`` is in seconds; None where trying again cannot help."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after
