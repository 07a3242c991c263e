"""Keys for browsers: each opens Realtime sessions of its owner's for a while, and nothing else."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

PREFIX = "ek_"
MAX_SECRETS = 1_000  # of one owner; the oldest go first


@dataclass(frozen=True)
class ClientSecret:
    """Whose sessions it opens, with which fields, until when, in Unix seconds."""

    owner: str
    session: dict[str, Any]
    expires_at: int


class ClientSecrets:
    """The secrets that this process made, by their hashes. For the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[str, ClientSecret] = {}

    def make(self, owner: str, session: dict[str, Any], seconds: int) -> tuple[str, ClientSecret]:
        """A new secret, and what it stands for."""
        value, now = PREFIX + secrets.token_hex(24), self._clock()
        secret = ClientSecret(owner, session, int(now) + seconds)
        self._known = {key: each for key, each in self._known.items() if each.expires_at > now}
        own = [key for key, each in self._known.items() if each.owner == owner]
        for key in own[: len(own) + 1 - MAX_SECRETS] if len(own) >= MAX_SECRETS else ():
            del self._known[key]
        self._known[_hash(value)] = secret
        return value, secret

    def find(self, value: str) -> ClientSecret | None:
        """What a secret stands for; None where it is unknown, or has expired."""
        secret = self._known.get(_hash(value))
        return secret if secret is not None and secret.expires_at > self._clock() else None


def _hash(value: str) -> str:
    return sha256(value.encode()).hexdigest()
