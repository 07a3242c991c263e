"""The server's entry point: `python app.py` serves the OpenAI audio API with the settings of settings.py.

It listens at once; routes answer 503 until the model is warm. If it can't be loaded, an error names a remedy.
"""

import gc
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api.attempts import best_attempt
from api.drain import Deadlines, DrainGate
from api.errors import add_error_handlers
from api.middleware.admission import Admission
from api.middleware.auth import ApiKeys, RequireKey
from api.middleware.core import BodyLimit, HeadAsGet, LastResort, RequestContextMiddleware
from api.middleware.logs import log_request, set_up_logs
from api.middleware.origin import EXPOSED_HEADERS, OriginCheck
from api.middleware.rate_limits import RateLimits, limits_of
from api.openapi import EVERYWHERE, DocumentedApp, errors
from api.routes import (
    chat,
    consents,
    onboarding,
    ops,
    page,
    provenance,
    realtime,
    similarity,
    speech,
    speech_batch,
    speech_jobs,
    speech_stream,
    transcriptions,
    voice_check,
    voice_files,
    voice_samples,
    voices,
)
from api.serving import SOCKET_OPTIONS, DrainingServer, address_of, leave, listening_socket, proxy_options
from api.sockets import Sockets
from api.state import Limits, RequestDefaults, ServerState
from asr.checkpoint import check_recogniser
from asr.transcriber import Transcriber
from errors import EngineFailed, StartError
from higgs.engine.memory import MAX_SLOTS
from jobs.maker import JobMaker
from setting_values import listed, pairs
from settings import Settings, database_url, load_settings
from speakers.encoder import weights_file
from speakers.verifier import SpeakerVerifier
from voice_cloning import VoiceCloner
from voices.library import VoiceLibrary
from voices.store.voice_store import VoiceStore

log = logging.getLogger("app")

# Every request holds a thread. These are left when slots and queue are full, for recordings and encoders.
SPARE_THREADS = 16
# Largest body, in multiples of the largest recording: base64 takes 4/3 of it, and a recording of up to
# twice the limit is still read, so that the refusal can name its field.
BODY_FACTOR = 3
FAILED_SECONDS = 10  # how long /health still reports a lost engine before the process ends
# Longest time a thread keeps the interpreter lock while others wait. With Python's default of 5 ms, /health
# takes 50 ms while many recordings are decoded: each answer waits for their threads several times.
SWITCH_SECONDS = 0.001
FAILED_EXIT = 70  # EX_SOFTWARE of sysexits.h
VOICE_BODY_FACTOR = 1.5  # the same for recordings of voices to save, which are not in base64
# Largest body without a recording: JSON escapes a character in at most 12 bytes (\\ud83d\\ude00).
PLAIN_BODY_BYTES, BYTES_PER_CHARACTER = 2**18, 12


def create_app(
    settings: Settings, stop: Callable[[], None] = lambda: None, address: str | None = None
) -> FastAPI:
    """Create the ASGI app; it loads its model in the background at start-up.

    Args:
        settings: the server's settings.
        stop: called if the model can't be loaded; app.state.server.failure says why.
        address: the server's URL, logged when it is ready.
    """
    state = state_of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=load, args=(state, settings, stop, address), name="load", daemon=True).start()
        yield
        if state.jobs is not None:
            await anyio.to_thread.run_sync(state.jobs.stop)
        if state.cloner is not None:
            state.cloner.close()
        state.transcriber.close()
        if state.voices is not None:
            state.voices.store.close()
        if state.redis is not None:
            state.redis.close()

    app = DocumentedApp(
        title="Higgs Audio voice server",
        description="OpenAI's audio API: text and a recording in, speech in that voice out.",
        lifespan=lifespan,
        responses=errors(*EVERYWHERE),
        docs_url=None,  # FastAPI's own load their scripts from elsewhere; see api/routes/page.py
        redoc_url=None,
    )
    app.state.server = state
    add_routes(app)
    add_error_handlers(app)
    add_middleware(app, state, settings)
    return app


def state_of(settings: Settings) -> ServerState:
    """Return what the routes share, before the model is loaded."""
    return ServerState(
        Limits(
            settings.max_upload_bytes,
            settings.max_voice_bytes,
            settings.max_text_characters,
            settings.max_job_characters,
        ),
        RequestDefaults(
            settings.transcribe_references, settings.verify, settings.max_attempts, settings.verify_consents
        ),
        Transcriber.of_setting(settings.recogniser, settings.device, settings.queue_limit),
        SpeakerVerifier(weights_file()),
        # As many requests may wait for the recogniser as for the model.
        anyio.CapacityLimiter(2 * settings.queue_limit + (settings.slots or MAX_SLOTS) + SPARE_THREADS),
        Sockets(settings.max_sockets, settings.socket_idle_seconds),
        voice_aliases=pairs(settings.voice_aliases),
        watermark=settings.watermark == "on",
        require_consent=settings.require_consent,
        redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None,
    )


def add_routes(app: FastAPI) -> None:
    """Add all routes, each group with the errors that its description names."""
    app.include_router(ops.router, responses=errors(404), tags=["Server"])
    for module in (chat, provenance, realtime, speech, speech_batch, transcriptions):
        app.include_router(module.router, responses=errors(404, 413, 415), tags=["Speech and text"])
    app.include_router(speech_jobs.router, responses=errors(404, 409, 413, 415), tags=["Long texts"])
    for module in (onboarding, similarity, voice_check, voices, voice_files, voice_samples, consents):
        app.include_router(module.router, responses=errors(404, 409, 413, 415, 501), tags=["Voices"])
    app.include_router(speech_stream.router)
    app.include_router(page.router)
    app.mount("/web", page.files)


def add_middleware(app: FastAPI, state: ServerState, settings: Settings) -> None:
    """Add the middleware: the last one added sees a request first."""
    largest = max(BODY_FACTOR * settings.max_upload_bytes, int(VOICE_BODY_FACTOR * settings.max_voice_bytes))
    plain = PLAIN_BODY_BYTES + BYTES_PER_CHARACTER * settings.max_text_characters
    keys = listed(settings.api_keys.get_secret_value()) if settings.api_keys else []
    app.add_middleware(Admission)
    app.add_middleware(BodyLimit, limit=largest, plain_limit=plain)
    app.add_middleware(RequireKey)
    app.add_middleware(RateLimits, limits=limits_of(settings.rate_limit), redis=state.redis)
    app.add_middleware(ApiKeys, keys=keys, client_secrets=state.client_secrets)
    if not keys:
        hosts = [settings.host, *listed(settings.allowed_hosts)]
        app.add_middleware(OriginCheck, hosts=hosts, origins=listed(settings.cors_origins))
    app.add_middleware(HeadAsGet)
    app.add_middleware(LastResort)
    app.add_middleware(DrainGate, drain=state.drain)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=listed(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(Deadlines, drain=state.drain)
    app.add_middleware(RequestContextMiddleware, observers=(log_request, state.metrics.note_request))


def load(
    state: ServerState, settings: Settings, stop: Callable[[], None], address: str | None = None
) -> None:
    """Open the store and load and warm the model into the state, or note why not and call stop."""
    try:
        if state.redis is not None:
            state.redis.check()
        check_recogniser(settings.recogniser)
        store = VoiceStore(database_url(settings), settings.max_voices, settings.max_jobs)
        cloner = VoiceCloner.load(settings, state.metrics.note_generation)
        state.voices = VoiceLibrary(cloner, store, state.speakers)
        state.cloner = cloner
        state.jobs = job_maker(state, cloner, state.voices)
        state.jobs.start()
        cloner.resident.when_failed(lambda error: end_soon(state, error, stop))
        cloner.resident.unload_when_idle(settings.keep_alive_seconds)
        where = f"; open {address} in a browser" if address else ""
        log.info("ready: %s on %s%s", cloner.model_id, cloner.device, where)
    except StartError as error:
        state.failure = error
    except Exception as error:
        log.exception("the model can't be loaded")
        state.failure = StartError(f"The model {settings.model!r} can't be loaded: {error}")
    finally:
        if state.cloner is None:
            stop()


def job_maker(state: ServerState, cloner: VoiceCloner, voices: VoiceLibrary) -> JobMaker:
    """Return what speaks queued jobs, until the server begins to stop."""
    best = partial(best_attempt, state.transcriber, state.request_defaults.max_attempts)
    return JobMaker(cloner, voices, best, lambda: state.drain.begun, state.metrics.note_job)


def end_soon(state: ServerState, error: EngineFailed, stop: Callable[[], None]) -> None:
    """Report on /health that the engine has failed, and stop the process after FAILED_SECONDS."""
    state.failure = error
    later = threading.Timer(FAILED_SECONDS, stop)
    later.daemon = True
    later.start()


def main() -> None:
    gc.freeze()  # what is imported stays; to pass over it would stop all threads for 0.2 s each time
    try:
        settings = load_settings(sys.argv[1:])
        listening = listening_socket(settings.host, settings.port)
    except StartError as error:
        sys.exit(f"app.py: {error}")
    set_up_logs(settings.log_level, settings.log_format)
    address = address_of(listening, settings.host)
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings, stop=lambda: setattr(server, "should_exit", True), address=address)
    state = app.state.server
    server = DrainingServer(
        uvicorn.Config(
            app,
            settings.host,
            settings.port,
            log_level=settings.log_level,
            log_config=None,
            **proxy_options(settings.trusted_proxies),
            **SOCKET_OPTIONS,
            access_log=False,  # it would log addresses with their texts; api/middleware/logs.py logs requests
        ),
        state.drain,
        settings.drain_seconds,
        break_off=lambda: state.cloner and state.cloner.close(),
    )
    server.run(sockets=[listening])
    failure = state.failure
    if isinstance(failure, EngineFailed):
        print(f"app.py: {failure}", file=sys.stderr)
        sys.exit(FAILED_EXIT)
    if failure is not None:
        sys.exit(f"app.py: {failure}")
    leave()


if __name__ == "__main__":
    main()
