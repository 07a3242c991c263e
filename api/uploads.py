"""File uploads in forms."""

from fastapi import Request, UploadFile

from audio.decode import empty, too_large
from errors import InvalidRequest, PayloadTooLarge, UnsupportedMedia

FORM = "multipart/form-data"


async def require_form(request: Request) -> None:
    """Refuse other content types, which would look like a form without fields."""
    if not request.headers.get("content-type", "").startswith(FORM):
        raise UnsupportedMedia(f"Send the file in a form, as {FORM}.")


def file_name(upload: UploadFile) -> str:
    """Return the client's file name without control characters; used for display only."""
    return "".join(character for character in upload.filename or "" if character.isprintable())


async def uploaded_bytes(upload: UploadFile, param: str, max_bytes: int) -> bytes:
    """Read the whole file. Raises PayloadTooLarge beyond `max_bytes`, InvalidAudio if it is empty."""
    error: PayloadTooLarge | InvalidRequest | None = None
    if (upload.size or 0) > max_bytes:
        error = too_large(max_bytes)
    elif not upload.size:
        error = empty()
    if error is not None:
        error.param = param
        raise error
    return await upload.read()
