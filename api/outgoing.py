"""The one way out for speech that was made: its encoder; the response gets the header that says so."""

from api.request_context import note_generated
from api.state import ServerState
from audio.generated import SpeechEncoder


def speech_encoder(model: str, state: ServerState) -> SpeechEncoder:
    """Return what encodes speech of this model, and note that this request's answer holds some."""
    note_generated(model)
    return SpeechEncoder(model, state.watermark)
