"""Logging: one line per request, as text or JSON, without anything that users say, send or hear.

A URL may contain a text (`?text=…`) or a name, so only the route is logged.
"""

import json
import logging
from typing import Any, Literal

from api.request_context import RequestContext, current_request

log = logging.getLogger("requests")

LogFormat = Literal["text", "json"]
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Polled every few seconds by monitoring.
WATCHED = ("/health", "/livez", "/readyz", "/metrics")


def set_up_logs(level: str, format: LogFormat) -> None:
    """Log to standard error, from this level up."""
    # uvicorn logs the URL of each WebSocket, which may contain private data.
    logging.getLogger("uvicorn.error").addFilter(lambda record: '"WebSocket ' not in str(record.msg))
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if format == "json" else TextLines(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def log_request(record: RequestContext) -> None:
    """Log one line once the response is sent."""
    details: dict[str, Any] = {
        "request_id": record.id,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "seconds": round(record.seconds, 4),
    }
    if record.first_audio is not None:
        details["first_audio_seconds"] = round(record.first_audio, 4)
    if record.underrun:
        details["underrun_seconds"] = round(record.underrun, 4)
    if record.retries:
        details["retries"] = record.retries
    if record.errors:
        details["errors"] = ",".join(record.errors)
    if record.close_code is not None:
        details["close_code"] = record.close_code
    if not record.whole:
        details["broken_off"] = True
    level = logging.DEBUG if record.route in WATCHED and record.whole else logging.INFO
    log.log(level, "request", extra={"details": details})


class TextLines(logging.Formatter):
    """The usual format, followed by key=value pairs."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        pairs = [f"{name}={value}" for name, value in _details(record).items()]
        return " ".join([super().formatMessage(record), *pairs])


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_details(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _details(record: logging.LogRecord) -> dict[str, Any]:
    """Return the request id and the record's own details."""
    request = current_request()
    details = {} if request is None else {"request_id": request.id}
    return details | getattr(record, "details", {})
