"""Errors of Ray Serve's proxies themselves, such as for a killed replica, in OpenAI's shape.

The proxies load it where their environment has
RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deploy.proxy_errors:middleware.
"""

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

VARIABLE, HOOK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "deploy.proxy_errors:middleware"
# Written out here, since api.errors would load the whole server into each proxy.
UNANSWERED = {
    "message": "No replica could answer this request; send it again in a moment.",
    "type": "server_error",
    "param": None,
    "code": "replica_unavailable",
}
RETRY_SECONDS = 1
FIRST_ERROR = 400


def middleware() -> list[Middleware]:
    """Return what a proxy wraps around its answers."""
    return [Middleware(ProxyErrors)]


class ProxyErrors:
    """Answer 503 `replica_unavailable` where no replica has answered.

    The proxy itself answers in plain text: 500 for a killed replica, 503, and 404 while the app stops. Errors
    of the app are JSON. A response that has begun breaks off, which clients notice.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        answered = False

        async def send_answer(message: Message) -> None:
            nonlocal answered
            answered = answered or (message["type"] == "http.response.start" and not _is_proxys(message))
            if answered:
                await send(message)

        await self.app(scope, receive, send_answer)
        if not answered:
            headers = {"retry-after": str(RETRY_SECONDS), "x-request-id": _request_id(scope)}
            await JSONResponse({"error": UNANSWERED}, 503, headers)(scope, receive, send)


def _is_proxys(start: Message) -> bool:
    kind = dict(map(tuple, start["headers"])).get(b"content-type", b"")
    return start["status"] >= FIRST_ERROR and kind.startswith(b"text/plain")


def _request_id(scope: Scope) -> str:
    """Return the client's id or, without one, the id that the proxy has added to the request."""
    return Headers(scope=scope)["x-request-id"]
