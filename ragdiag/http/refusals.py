"""Why a request is not taken, as an HTTP status.

Clients try again after 429 and 503, waiting as ``Retry-After`` says. OpenTelemetry exporters do so
too, and drop the data after anything else (OTLP specification, "OTLP/HTTP Response").
"""

from __future__ import annotations

import math


class Refusal(Exception):
    """``retry_after`` is in seconds; None where trying again cannot help."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """``Retry-After`` in whole seconds, ``WWW-Authenticate`` where a token is asked for.

        >>> Refusal(503, "busy", retry_after=1.2).headers
        {'Retry-After': '2'}
        """
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers
