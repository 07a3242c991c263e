"""Files that come in forms, on every route that takes one."""

from fastapi import Request, UploadFile

from audio.decode import empty, too_large
from errors import InvalidRequest, PayloadTooLarge, UnsupportedMedia

FORM = "multipart/form-data"


async def require_form(request: Request) -> None:
    """Refuse a body of another kind, which would otherwise look like a form without fields."""
    if not request.headers.get("content-type", "").startswith(FORM):
        raise UnsupportedMedia(f"Send a form with the file in it, as {FORM}.")


def file_name(upload: UploadFile) -> str:
    """The name that the client gave the file, for people to read; it decides nothing."""
    return "".join(character for character in upload.filename or "" if character.isprintable())


async def uploaded_bytes(upload: UploadFile, param: str, most: int) -> bytes:
    """The whole file. PayloadTooLarge beyond `most` bytes, InvalidAudio if it is empty."""
    error: PayloadTooLarge | InvalidRequest | None = None
    if (upload.size or 0) > most:
        error = too_large(most)
    elif not upload.size:
        error = empty()
    if error is not None:
        error.param = param
        raise error
    return await upload.read()
