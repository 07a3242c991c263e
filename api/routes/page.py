"""The web page at /, its files at /web, and the API documentation at /docs and /redoc.

All files are served locally, so that they work without internet access.
"""

import gzip
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from errors import NotFound, quoted

FOLDER = Path(__file__).resolve().parents[2] / "web"
VENDOR = FOLDER / "vendor"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
}
PAGE_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
# Swagger UI and Redoc set inline styles; Redoc searches in a worker.
DOCUMENT_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:;"
    " frame-ancestors 'none'"
)
DOCUMENT = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="icon" href="/web/icon.svg">
  {head}
</head>
<body>
  {body}
</body>
</html>
"""
SWAGGER = DOCUMENT.format(
    title="Voice server: API",
    head='<link rel="stylesheet" href="/docs/assets/swagger-ui.css">',
    body='<div id="document"></div>\n  <script src="/docs/assets/swagger-ui-bundle.js"></script>'
    '\n  <script src="/web/docs.js"></script>',
)
REDOC = DOCUMENT.format(
    title="Voice server: API reference",
    head="<style>body { margin: 0 }</style>",
    body='<redoc spec-url="/openapi.json"></redoc>'
    '\n  <script src="/docs/assets/redoc.standalone.js"></script>',
)

router = APIRouter(include_in_schema=False)


def safe_headers(policy: str) -> dict[str, str]:
    """Return headers that keep other sites from framing a page, and the page from loading their content."""
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
    }


class PageFiles(StaticFiles):
    """The page's static files, with the page's security headers."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(safe_headers(PAGE_POLICY))
        return response


files = GZipMiddleware(PageFiles(directory=FOLDER), minimum_size=500)


@router.get("/")
async def page() -> FileResponse:
    return FileResponse(FOLDER / "index.html", headers=safe_headers(PAGE_POLICY))


@router.get("/docs")
async def swagger() -> HTMLResponse:
    return HTMLResponse(SWAGGER, headers=safe_headers(DOCUMENT_POLICY))


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    return HTMLResponse(REDOC, headers=safe_headers(DOCUMENT_POLICY))


@router.get("/docs/assets/{name}")
def asset(name: str, request: Request) -> Response:
    """Serve a vendored file, compressed if the client accepts gzip."""
    if name not in ASSETS:
        raise NotFound(f"/docs has no file {quoted(name)}.")
    data = (VENDOR / f"{name}.gz").read_bytes()
    headers = safe_headers(DOCUMENT_POLICY) | {"cache-control": "max-age=86400", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(data, media_type=ASSETS[name], headers=headers | {"content-encoding": "gzip"})
    return Response(gzip.decompress(data), media_type=ASSETS[name], headers=headers)
