"""The tree of errors.

    VoiceServerError
    ├── InvalidRequest          400  the caller sent something that can't be served
    │   ├── InvalidAudio        400  an audio input that can't be read or used as a reference
    │   ├── Unauthorized        401  no valid API key
    │   ├── Forbidden           403  a request from another web site, or to an unknown host name
    │   ├── NotFound            404  an unknown model, voice or route
    │   ├── Conflict            409  a name that is taken; a retry will not help
    │   ├── PayloadTooLarge     413  more bytes or characters than a limit allows
    │   ├── UnsupportedMedia    415  a body of the wrong content type
    │   └── UnreadableMessage   400  of a WebSocket, and no JSON object; carries the code that closes it
    ├── Overloaded              429  the queue is full; carries retry_after seconds
    ├── RateLimited             429  too many requests of one key or address; carries retry_after seconds
    ├── Loading                 503  the model is not ready yet; carries retry_after seconds
    ├── ShuttingDown            503  the server is stopping; carries retry_after seconds
    ├── StoreUnavailable        503  the voice database is unavailable; carries retry_after seconds
    │   └── RedisUnavailable    503  Redis, which servers share, is unavailable
    ├── NotInstalled            501  an optional component is missing; the message says how to install it
    ├── Cancelled               499  the client disconnected or cancelled
    ├── ModelError              500  the model failed on this request
    ├── EngineFailed            503  the device is lost, or the model fails every time; the process will exit
    └── StartError              —    the server can't start; the message names the remedy
        ├── HubError            —    a model or codec can't be downloaded from the hub
        └── DoesNotFit          —    the device's memory is too small for the model

The domain raises these errors; api/errors.py maps them to HTTP.
"""

MAX_QUOTED = 100  # characters of input quoted in a message


def quoted(value: str) -> str:
    """Quote client input for a message: on one line, shortened to MAX_QUOTED characters."""
    shown = value if len(value) <= MAX_QUOTED else value[:MAX_QUOTED] + "…"
    return ascii(shown) if not shown.isprintable() else repr(shown)


class VoiceServerError(Exception):
    """Base class of this project's errors.

    Attributes:
        message: what is wrong and what to do about it, for the caller.
        code: a short machine-readable word, e.g. "audio_too_short".
        param: the request field at fault, e.g. "audio.voice"; None if there is no single one.
    """

    status = 500
    type = "server_error"
    default_code: str | None = None

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param


class InvalidRequest(VoiceServerError):
    status = 400
    type = "invalid_request_error"
    default_code = "invalid_request"


class InvalidAudio(InvalidRequest):
    default_code = "invalid_audio"


class Unauthorized(InvalidRequest):
    status = 401
    default_code = "invalid_api_key"


class Forbidden(InvalidRequest):
    status = 403
    default_code = "forbidden"


class NotFound(InvalidRequest):
    status = 404
    default_code = "not_found"


class Conflict(InvalidRequest):
    status = 409
    default_code = "conflict"


class PayloadTooLarge(InvalidRequest):
    status = 413
    default_code = "payload_too_large"


class UnsupportedMedia(InvalidRequest):
    status = 415
    default_code = "unsupported_media_type"


class UnreadableMessage(InvalidRequest):
    """A WebSocket's message that is no JSON object; close_code: by which the socket is closed."""

    default_code = "invalid_message"

    def __init__(self, message: str, *, close_code: int) -> None:
        super().__init__(message)
        self.close_code = close_code


class Overloaded(VoiceServerError):
    status = 429
    type = "rate_limit_error"
    default_code = "overloaded"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(VoiceServerError):
    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Loading(VoiceServerError):
    status = 503
    default_code = "model_loading"

    def __init__(self, message: str, *, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ShuttingDown(VoiceServerError):
    status = 503
    default_code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("The server is shutting down; send the request again in a moment.")
        self.retry_after = 5


class StoreUnavailable(VoiceServerError):
    status = 503
    default_code = "voice_store_unavailable"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RedisUnavailable(StoreUnavailable):
    default_code = "redis_unavailable"

    def __init__(self) -> None:
        super().__init__("Earlier answers and client secrets can't be looked up now; try again in a moment.")


class NotInstalled(VoiceServerError):
    status = 501
    default_code = "not_installed"


class Cancelled(VoiceServerError):
    status = 499
    default_code = "cancelled"


class ModelError(VoiceServerError):
    default_code = "model_error"


class RecogniserMissing(ModelError):
    """The recogniser can't be loaded, and can't be soon: requests need not be sent again."""

    default_code = "recogniser_unavailable"


class EngineFailed(VoiceServerError):
    status = 503
    default_code = "engine_failed"


class StartError(VoiceServerError):
    default_code = "start_error"


class HubError(StartError):
    default_code = "hub_unreachable"


class DoesNotFit(StartError):
    default_code = "out_of_memory"
