"""The front door: `python app.py` serves the OpenAI audio API with the settings of settings.py.

It listens at once, so that /health can say "loading"; other routes answer 503 until the model is warm.
A model that can't be loaded stops the process with an error that names the remedy.
"""

import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api.errors import add_error_handlers
from api.middleware.auth import ApiKeys, keys_of
from api.middleware.core import BodyLimit, LastResort, RequestContextMiddleware
from api.middleware.logs import log_request, set_up_logs
from api.middleware.rate_limits import RateLimits, limits_of
from api.openapi import EVERYWHERE, DocumentedApp, errors
from api.routes import (
    chat,
    consents,
    onboarding,
    ops,
    page,
    similarity,
    speech,
    speech_batch,
    transcriptions,
    voice_files,
    voice_samples,
    voices,
)
from api.state import Limits, RequestDefaults, ServerState
from asr.transcriber import Transcriber
from errors import StartError
from higgs.engine.kv_cache import MAX_SLOTS
from settings import Settings, database_url, listed, load_settings
from speakers.encoder import weights_file
from speakers.verifier import SpeakerVerifier
from voice_cloning import VoiceCloner
from voices.library import VoiceLibrary
from voices.store.voice_store import VoiceStore

log = logging.getLogger("app")

# Every request holds a thread; beyond those of full slots and queue, some are for recordings and encoders.
SPARE_THREADS = 16
# How many times as long as the largest recording a body may be: base64 takes 4/3 of it, and a recording up to
# twice too large is still read, so that the refusal can name its field.
BODY_FACTOR = 3
VOICE_BODY_FACTOR = 1.5  # a voice to keep comes as it is, not in base64
# What a page elsewhere may read of an answer beside its body.
READABLE_HEADERS = (
    *("x-request-id", "x-should-retry", "retry-after", "x-voice-used", "x-seed", "x-takes", "x-faults"),
    *("x-word-error-rate", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
    "x-ratelimit-reset-requests",
)


def create_app(settings: Settings, stop: Callable[[], None] = lambda: None) -> FastAPI:
    """The ASGI app; it loads its model in the background when it is started.

    stop: called if the model can't be loaded, when app.state.server.failure says why.
    """
    state = ServerState(
        Limits(settings.max_upload_bytes, settings.max_voice_bytes, settings.max_text_characters),
        RequestDefaults(
            settings.transcribe_references, settings.verify, settings.max_attempts, settings.verify_consents
        ),
        Transcriber.of_setting(settings.recogniser, settings.device, settings.queue_limit),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        requests = 2 * settings.queue_limit + (settings.slots or MAX_SLOTS)  # as many may be listened to
        anyio.to_thread.current_default_thread_limiter().total_tokens = requests + SPARE_THREADS
        threading.Thread(target=load, args=(state, settings, stop), name="load", daemon=True).start()
        yield
        if state.cloner is not None:
            state.cloner.close()
        state.transcriber.close()
        if state.voices is not None:
            state.voices.store.close()

    app = DocumentedApp(
        title="Higgs Audio voice server",
        description="OpenAI's audio API: text and a recording in, speech in that voice out.",
        lifespan=lifespan,
        responses=errors(*EVERYWHERE),
    )
    app.state.server = state
    app.include_router(ops.router, responses=errors(404))
    for module in (chat, speech, speech_batch, transcriptions):
        app.include_router(module.router, responses=errors(404, 413, 415))
    for module in (onboarding, similarity, voices, voice_files, voice_samples, consents):
        app.include_router(module.router, responses=errors(404, 409, 413, 415, 501))
    app.include_router(page.router)
    app.mount("/web", page.files)
    add_error_handlers(app)
    add_middleware(app, state, settings)
    return app


def add_middleware(app: FastAPI, state: ServerState, settings: Settings) -> None:
    """What every request goes through, from the inside out."""
    largest = max(BODY_FACTOR * settings.max_upload_bytes, int(VOICE_BODY_FACTOR * settings.max_voice_bytes))
    app.add_middleware(BodyLimit, limit=largest)
    app.add_middleware(RateLimits, limits=limits_of(settings.rate_limit))
    app.add_middleware(ApiKeys, keys=keys_of(settings.api_keys))
    app.add_middleware(LastResort)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=listed(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=READABLE_HEADERS,
        )
    app.add_middleware(RequestContextMiddleware, observers=(log_request, state.metrics.note_request))


def load(state: ServerState, settings: Settings, stop: Callable[[], None]) -> None:
    """Open the store and load and warm the model into the state, or note why not and call stop."""
    try:
        store = VoiceStore(database_url(settings))
        cloner = VoiceCloner.load(settings, state.metrics.note_generation)
        state.voices = VoiceLibrary(cloner, store, SpeakerVerifier(weights_file()))
        state.cloner = cloner
        log.info("ready: %s on %s", cloner.model_id, cloner.device)
    except StartError as error:
        state.failure = error
    except Exception as error:
        log.exception("the model can't be loaded")
        state.failure = StartError(f"The model {settings.model!r} can't be loaded: {error}")
    finally:
        if state.cloner is None:
            stop()


def main() -> None:
    try:
        settings = load_settings(sys.argv[1:])
    except StartError as error:
        sys.exit(f"app.py: {error}")
    set_up_logs(settings.log_level, settings.log_format)
    app = create_app(settings, stop=lambda: setattr(server, "should_exit", True))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            settings.host,
            settings.port,
            log_level=settings.log_level,
            log_config=None,
            access_log=False,  # it would log addresses with their texts; api/middleware/logs.py logs requests
        )
    )
    server.run()
    failure = app.state.server.failure
    if failure is not None:
        sys.exit(f"app.py: {failure}")


if __name__ == "__main__":
    main()
