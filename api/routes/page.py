"""The web page at /, and its files under /web; nothing in it comes from elsewhere."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

FOLDER = Path(__file__).resolve().parents[2] / "web"
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

router = APIRouter()
files = StaticFiles(directory=FOLDER)


@router.get("/", include_in_schema=False)
def page() -> FileResponse:
    return FileResponse(FOLDER / "index.html", headers={"content-security-policy": POLICY})
