"""HTTP by the standard library alone, for what must run beside a server that has only its own packages."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener
from uuid import uuid4

TIMEOUT = 600.0
# A server of our own is asked straight, whatever proxy the environment names.
OPENER = build_opener(ProxyHandler({}))


class RefusedError(Exception):
    """The server's answer was no success; the message says what it was."""

    def __init__(self, status: int, body: bytes) -> None:
        try:
            said = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            said = body[:200].decode("utf-8", "replace")
        super().__init__(f"{status}: {said}")
        self.status = status


@contextmanager
def opened(request: Request, timeout: float = TIMEOUT) -> Iterator[HTTPResponse]:
    """The answer, to be read. RefusedError unless it is a success; OSError where nobody answers."""
    try:
        with OPENER.open(request, timeout=timeout) as response:
            yield response
    except HTTPError as error:
        with error:
            raise RefusedError(error.code, error.read()) from None


def ask(url: str, key: str, body: Any = None, method: str | None = None, timeout: float = TIMEOUT) -> Any:
    """The JSON that the server answers; a body is sent as JSON."""
    with opened(request_of(url, key, body, method), timeout) as response:
        return json.loads(response.read())


def request_of(url: str, key: str, body: Any = None, method: str | None = None) -> Request:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    return Request(url, data, headers, method=method)


def form_of(url: str, key: str, fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]]) -> Request:
    """A multipart form; a file is its name and its bytes."""
    boundary = uuid4().hex
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, (file_name, data) in files.items():
        head = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"; filename="{file_name}"\r\n\r\n'
        )
        parts += [head.encode(), data, b"\r\n"]
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": f"multipart/form-data; boundary={boundary}",
    }
    return Request(url, b"".join([*parts, f"--{boundary}--\r\n".encode()]), headers)
