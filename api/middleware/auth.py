"""API keys: who may use the server, and whose voices a request sees."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated

import anyio.to_thread
from fastapi import Depends
from fastapi.requests import HTTPConnection
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.client_secrets import PREFIX, ClientSecrets
from api.errors import refusal
from api.sockets import KEY_PROTOCOL
from errors import RedisUnavailable, Unauthorized

GUARDED = ("/v1/", "/api/")
# Without keys, all requests share one set of voices.
EVERYONE = ""
REALTIME = "/v1/realtime"


class ApiKeys:
    """Note whose a request is: `scope["state"]["owner"]`, None if it needs a key and brings none of ours.

    The key comes as `authorization: Bearer …` or, of a WebSocket, whose headers a browser can't set, as the
    subprotocol `openai-insecure-api-key.…`. A client secret opens Realtime sessions of its owner's; what it
    stands for is `scope["state"]["client_secret"]`. An owner is the hash of a key, so that none is stored.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str], client_secrets: ClientSecrets) -> None:
        self.app, self._client_secrets = app, client_secrets
        self._owners = [_owner(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self.app
        if scope["type"] in ("http", "websocket"):
            scope.setdefault("state", {})
            try:
                scope["state"]["owner"] = await self._owner_of(scope)
            except RedisUnavailable as error:
                app = refusal(error)
        await app(scope, receive, send)

    async def _owner_of(self, scope: Scope) -> str | None:
        """Return the request's owner; None if it needs a key and has no valid one."""
        if scope["type"] == "websocket" and scope["path"] == REALTIME and _key_in(scope).startswith(PREFIX):
            secret = await anyio.to_thread.run_sync(self._client_secrets.find, _key_in(scope))
            scope["state"]["client_secret"] = secret
            return secret.owner if secret else None
        if not self._owners or not scope["path"].startswith(GUARDED):
            return EVERYONE
        given = _owner(_key_in(scope))
        # Compare every key in constant time, so that timing reveals nothing.
        known = [hmac.compare_digest(given, owner) for owner in self._owners]
        return given if any(known) else None


class RequireKey:
    """Refuse requests without an owner before their body is read.

    Must be inside the rate limits, so that keys can't be guessed faster than the limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["state"]["owner"] is not None:
            return await self.app(scope, receive, send)
        await refusal(_unauthorized(scope))(scope, receive, send)


def _owner(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def _key_in(scope: Scope) -> str:
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    named = (
        name.removeprefix(KEY_PROTOCOL) for name in scope.get("subprotocols", ()) if KEY_PROTOCOL in name
    )
    return next(named, "")


def _unauthorized(scope: Scope) -> Unauthorized:
    if _key_in(scope).startswith(PREFIX) and scope["path"] == REALTIME:
        message = "The client secret is unknown or has expired; make one by POST /v1/realtime/client_secrets."
        return Unauthorized(message)
    what = "This API key is not known here" if _key_in(scope) else "The request brings no API key"
    return Unauthorized(f"{what}; send one of this server's as 'authorization: Bearer <key>'.")


async def _owner_in(request: HTTPConnection) -> str:
    return request.state.owner


Owner = Annotated[str, Depends(_owner_in)]
