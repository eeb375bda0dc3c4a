"""Requests: their JSON, and the error for a request that can't be answered."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request as HttpRequest

from corpus.json_data import parse_json

MOST_BODY = 1 << 20
"""The largest size of a request, in bytes."""


class BadRequest(Exception):
    """Raised for a request that can't be answered: a sentence for the client, the parameter, and the status."""

    def __init__(self, what: str, parameter: str | None = None, status: int = 400) -> None:
        super().__init__(what)
        self.parameter, self.status = parameter, status


async def read_body(http: HttpRequest) -> dict[str, Any]:
    """Return the JSON object of a request. Raises BadRequest."""
    data = b""
    async for chunk in http.stream():
        data += chunk
        if len(data) > MOST_BODY:
            raise BadRequest(f"The request has more than {MOST_BODY:,} bytes.", status=413)
    try:
        body = parse_json(data)
    except ValueError:
        raise BadRequest("The request is not JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest("The request is not a JSON object.")
    return body
