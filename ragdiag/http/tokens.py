"""Bearer tokens: where a server reads its own, and who does not have it."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from starlette.requests import Request

from ragdiag.errors import InputError
from ragdiag.http.refusals import Refusal


def read_token(token_file: Path | None, variable: str) -> str | None:
    """The bearer token: of the file, else of the environment ``variable``, else none.

    Raises InputError where the file cannot be read or the token is empty.
    """
    if token_file is None:
        token = os.environ.get(variable)
        source = f"${variable}"
    else:
        source = str(token_file)
        try:
            token = token_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {token_file} ({error})", remedy="name a file") from None
    if token is None:
        return None
    if not token.strip():
        raise InputError(f"the token in {source} is empty", remedy="put one there, or remove it")
    return token.strip()


def check_token(request: Request, token: str | None) -> None:
    """Raises Refusal (401) where ``request`` does not carry ``token``; None lets everybody in."""
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not same:
        raise Refusal(401, "the bearer token is missing or wrong")
