"""Protects a server without API keys from other web sites, which could reach it through a user's browser."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import refusal
from api.middleware.auth import GUARDED
from errors import Forbidden, quoted

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]*)(?::\d+)?")
# Names that nobody can register: RFC 6761, RFC 6762 (mDNS), RFC 8375, and ICANN's of 2024, which has
# host.docker.internal. Home networks' .lan is not among them: it may be delegated some day.
PRIVATE = (".localhost", ".local", ".home.arpa", ".internal")
WATCHED = ("/health", "/livez", "/readyz")  # load balancers probe these with the public host name
# Response headers that pages of allowed origins may read.
EXPOSED_HEADERS = (
    "x-request-id",
    "x-should-retry",
    "retry-after",
    "x-voice-used",
    "x-seed",
    "x-finish-reason",
    "x-takes",
    "x-faults",
    "x-word-error-rate",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "ai-disclosure",
    "x-ratelimit-reset-requests",
    "x-instructions-followed",
    "x-model-used",
    "x-word-timestamps",
)
OWN_SITES = ("same-origin", "none")  # none: initiated by the user, e.g. by typing the address


class OriginCheck:
    """Refuse requests to an unknown host name, and requests of other sites' pages.

    A page whose name is made to resolve to this server (DNS rebinding) is recognised by its `host`. That may
    be an IP address, a name that no web site has, without a dot or PRIVATE, or one of `hosts`. Requests of
    other pages are recognised by `origin` and `sec-fetch-site`, which browsers set and pages can't.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], origins: Sequence[str]) -> None:
        """Set up the check.

        Args:
            app: the app to protect.
            hosts: names of this server, with wildcards.
            origins: allowed origins of other sites; * for any.
        """
        self.app = app
        self._hosts, self._origins = [host.lower() for host in hosts], origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        forbidden = self._forbidden(scope) if scope["type"] in ("http", "websocket") else None
        if forbidden is None:
            return await self.app(scope, receive, send)
        await refusal(forbidden)(scope, receive, send)

    def _forbidden(self, scope: Scope) -> Forbidden | None:
        headers, path = Headers(scope=scope), scope["path"]
        if path not in WATCHED and not self._is_ours(headers.get("host", "")):
            message = (
                f"{quoted(headers['host'])} is not a known name of this server. If it should be, add it to"
            )
            return Forbidden(
                f"{message} HIGGS_ALLOWED_HOSTS, or set HIGGS_API_KEYS.", code="host_not_allowed"
            )
        if path.startswith(GUARDED) and self._is_foreign(headers):
            message = "Web pages of other sites may not use this server; allow them with HIGGS_CORS_ORIGINS."
            return Forbidden(message, code="origin_not_allowed")
        return None

    def _is_ours(self, host: str) -> bool:
        found = HOST.fullmatch(host.lower())
        name = found["name"].strip("[]").rstrip(".") if found else ""
        if not host or "*" in self._hosts:
            return True
        return bool(name) and (
            _is_address(name)
            or "." not in name
            or name.endswith(PRIVATE)
            or any(fnmatchcase(name, known) for known in self._hosts)
        )

    def _is_foreign(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if "*" in self._origins or (origin is not None and origin in self._origins):
            return False
        if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
            return True
        return headers.get("sec-fetch-site", "none") not in OWN_SITES


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
