"""The app without its model, for what is decided before a request reaches one."""

from typing import Any

from pydantic import SecretStr
from starlette.testclient import TestClient

from app import create_app
from settings import Settings


def unloaded(keys: str | None = None, address: str = "192.0.2.1", **settings: Any) -> TestClient:
    """A client of an app that has not begun to load: where a model is needed, 503 comes back."""
    api_keys = None if keys is None else SecretStr(keys)
    app = create_app(Settings(api_keys=api_keys, **settings))
    return TestClient(app, client=(address, 50_000))
