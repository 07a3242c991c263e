"""POST /v1/content_provenance_checks: was this recording made by this software?"""

import threading
import time
from typing import Annotated

from fastapi import APIRouter, Depends, File, Request, UploadFile

from api.errors import blamed_on
from api.schemas.provenance import ContentProvenanceCheck, MarkedSpan, MetadataResult, WatermarkResult
from api.state import State
from api.streaming import while_connected
from api.uploads import require_form, uploaded_bytes
from audio.decode import MAX_SECONDS, decode_audio
from audio.frames import SAMPLE_RATE
from audio.generated import model_in_tags
from audio.watermark_detection import MIN_SECONDS, detect_watermark
from concurrency import acquired
from errors import InvalidAudio
from voices.recordings import place_among

router = APIRouter()

PLACES = threading.BoundedSemaphore(2)  # a recording of ten minutes takes 100 MB and some seconds of a core
# Each check holds a thread while it waits for a place, and speech needs threads, too.
ADMITTED = threading.BoundedSemaphore(8)


@router.post("/v1/content_provenance_checks", dependencies=[Depends(require_form)])
async def create_content_provenance_check(
    request: Request,
    state: State,
    file: Annotated[
        UploadFile, File(description=f"Audio or video file, {MIN_SECONDS:g} s to {MAX_SECONDS / 60:g} min.")
    ],
) -> ContentProvenanceCheck:
    """Look for this software's watermark in a recording, and for its name in the file's tags.

    The watermark outlives usual codecs, resampling, cuts and changes of speed up to 10 %; one or two seconds
    of speech are enough.
    """
    data = await uploaded_bytes(file, "file", state.limits.upload_bytes)
    with blamed_on("file"):
        return await while_connected(request, None, lambda: checked(data))


def checked(data: bytes) -> ContentProvenanceCheck:
    """Check a file.

    Raises:
        InvalidAudio: it can't be read, or is too short to tell.
        Overloaded: too many files are being checked.
    """
    with place_among(ADMITTED), acquired(PLACES):
        return _checked(data)


def _checked(data: bytes) -> ContentProvenanceCheck:
    samples = decode_audio(data)
    if len(samples) < MIN_SECONDS * SAMPLE_RATE:
        seconds = len(samples) / SAMPLE_RATE
        message = f"The recording has {seconds:.2f} s; {MIN_SECONDS:g} s or more are needed to tell."
        raise InvalidAudio(message, code="audio_too_short")
    mark, model = detect_watermark(samples), model_in_tags(data)
    return ContentProvenanceCheck(
        created_at=int(time.time()),
        results=[
            WatermarkResult(
                outcome="detected" if mark.found else "not_detected",
                confidence=1 - mark.false_alarm if mark.found else 0.0,
                false_alarm_probability=mark.false_alarm,
                score=mark.score,
                speed=mark.speed,
                spans=[MarkedSpan(start=start, end=end) for start, end in mark.spans],
            ),
            MetadataResult(outcome="not_detected" if model is None else "detected", model=model),
        ],
    )
