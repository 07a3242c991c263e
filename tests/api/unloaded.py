"""The app without its model, for what is decided before a request reaches one."""

import atexit
from contextlib import ExitStack
from functools import cache
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from app import create_app
from settings import Settings


def unloaded(keys: str | None = None, address: str = "192.0.2.1", **settings: Any) -> TestClient:
    """A client of an app that has not begun to load: where a model is needed, 503 comes back."""
    api_keys = None if keys is None else SecretStr(keys)
    return client_of(create_app(Settings(api_keys=api_keys, **settings)), address)


def client_of(app: Any, address: str) -> TestClient:
    """A client at this address. All share one event loop, as the requests of a server do."""
    assert isinstance(app, FastAPI)
    client = TestClient(app, client=(address, 50_000))
    client.portal = _portal()
    return client


@cache
def _portal() -> BlockingPortal:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(start_blocking_portal())
