"""Keys for browsers: each opens its owner's Realtime sessions for a while, and nothing else.

They are in memory, or in Redis, which several servers share; only their hashes are stored.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Protocol

from api.shared_redis import SharedRedis

PREFIX = "ek_"
MAX_SECRETS = 1_000  # of one owner in memory; the oldest go first


@dataclass(frozen=True)
class ClientSecret:
    """Whose sessions it opens, with which fields, and until when (Unix seconds)."""

    owner: str
    session: dict[str, Any]
    expires_at: int


class ClientSecrets(Protocol):
    """The issued secrets. Methods may block: call them in threads."""

    def make(self, owner: str, session: dict[str, Any], seconds: int) -> tuple[str, ClientSecret]:
        """Return a new secret, and its record."""

    def find(self, value: str) -> ClientSecret | None:
        """Return a secret's record; None if it is unknown or has expired."""


class SecretsInMemory:
    """ClientSecrets of one server."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[str, ClientSecret] = {}
        self._changing = threading.Lock()

    def make(self, owner: str, session: dict[str, Any], seconds: int) -> tuple[str, ClientSecret]:
        value, now = _new_value(), self._clock()
        secret = ClientSecret(owner, session, int(now) + seconds)
        with self._changing:
            self._known = {key: each for key, each in self._known.items() if each.expires_at > now}
            own = [key for key, each in self._known.items() if each.owner == owner]
            for key in own[: len(own) + 1 - MAX_SECRETS] if len(own) >= MAX_SECRETS else ():
                del self._known[key]
            self._known[_hash(value)] = secret
        return value, secret

    def find(self, value: str) -> ClientSecret | None:
        secret = self._known.get(_hash(value))
        return secret if secret is not None and secret.expires_at > self._clock() else None


class SecretsInRedis:
    """ClientSecrets of several servers. Methods raise RedisUnavailable."""

    def __init__(self, shared: SharedRedis) -> None:
        self._shared = shared

    def make(self, owner: str, session: dict[str, Any], seconds: int) -> tuple[str, ClientSecret]:
        value = _new_value()
        secret = ClientSecret(owner, session, int(time.time()) + seconds)
        kept = json.dumps(asdict(secret))
        self._shared.ask(lambda: self._shared.client.set(_key(value), kept, exat=secret.expires_at))
        return value, secret

    def find(self, value: str) -> ClientSecret | None:
        kept = self._shared.ask(lambda: self._shared.client.get(_key(value)))
        return None if kept is None else ClientSecret(**json.loads(kept))


def _new_value() -> str:
    return PREFIX + secrets.token_hex(24)


def _hash(value: str) -> str:
    return sha256(value.encode()).hexdigest()


def _key(value: str) -> str:
    return f"higgs:client_secret:{_hash(value)}"
