"""The server's entry point: `python app.py` serves the OpenAI audio API with the settings of settings.py.

It listens at once; routes answer 503 until the model is warm. If it can't be loaded, an error names a remedy.
"""

import errno
import logging
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api.attempts import best_attempt
from api.drain import Deadlines, DrainGate
from api.errors import add_error_handlers
from api.middleware.admission import Admission
from api.middleware.auth import ApiKeys, RequireKey, keys_of
from api.middleware.core import BodyLimit, HeadAsGet, LastResort, RequestContextMiddleware
from api.middleware.logs import log_request, set_up_logs
from api.middleware.origin import OriginCheck
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
from api.serving import SOCKET_OPTIONS, DrainingServer, leave
from api.sockets import Sockets
from api.state import Limits, RequestDefaults, ServerState
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

# Every request holds a thread; beyond those of full slots and queue, some are for recordings and encoders.
SPARE_THREADS = 16
# How many times as long as the largest recording a body may be: base64 takes 4/3 of it, and a recording up to
# twice too large is still read, so that the refusal can name its field.
BODY_FACTOR = 3
FAILED_SECONDS = 10  # how long /health still reports a lost engine before the process ends
# For which a thread may keep the interpreter to itself. With Python's own 5 ms, /health waits 50 ms behind a
# crowd's recordings: the event loop takes turns with all of their threads several times for each answer.
SWITCH_SECONDS = 0.001
# How long the system tries to deliver what a client doesn't read, once the server has hung up.
UNREAD_MILLISECONDS = 120_000
FAILED_EXIT = 70  # EX_SOFTWARE of sysexits.h
VOICE_BODY_FACTOR = 1.5  # a voice to keep comes as it is, not in base64
# A body without a recording: what JSON writes of a character (\\ud83d\\ude00), and what stands beside a text.
PLAIN_BODY_BYTES, BYTES_PER_CHARACTER = 2**18, 12
# What a page elsewhere may read of an answer beside its body.
READABLE_HEADERS = (
    *("x-request-id", "x-should-retry", "retry-after", "x-voice-used", "x-seed", "x-takes", "x-faults"),
    *("x-word-error-rate", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "ai-disclosure"),
    *("x-ratelimit-reset-requests", "x-instructions-followed", "x-model-used", "x-word-timestamps"),
)


def create_app(
    settings: Settings, stop: Callable[[], None] = lambda: None, address: str | None = None
) -> FastAPI:
    """Create the ASGI app; it loads its model in the background at start-up.

    Args:
        settings: the server's settings.
        stop: called if the model can't be loaded; app.state.server.failure says why.
        address: the server's URL, logged when it is ready.
    """
    state = ServerState(
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
        # As many may be listened to as may wait to be spoken.
        anyio.CapacityLimiter(2 * settings.queue_limit + (settings.slots or MAX_SLOTS) + SPARE_THREADS),
        Sockets(settings.max_sockets, settings.socket_idle_seconds),
        voice_aliases=pairs(settings.voice_aliases),
        watermark=settings.watermark == "on",
        require_consent=settings.require_consent,
        redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None,
    )

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
    app.include_router(ops.router, responses=errors(404))
    for module in (chat, provenance, realtime, speech, speech_batch, transcriptions):
        app.include_router(module.router, responses=errors(404, 413, 415))
    app.include_router(speech_jobs.router, responses=errors(404, 409, 413, 415))
    for module in (onboarding, similarity, voice_check, voices, voice_files, voice_samples, consents):
        app.include_router(module.router, responses=errors(404, 409, 413, 415, 501))
    app.include_router(speech_stream.router)
    app.include_router(page.router)
    app.mount("/web", page.files)
    add_error_handlers(app)
    add_middleware(app, state, settings)
    return app


def add_middleware(app: FastAPI, state: ServerState, settings: Settings) -> None:
    """What every request goes through, from the inside out."""
    largest = max(BODY_FACTOR * settings.max_upload_bytes, int(VOICE_BODY_FACTOR * settings.max_voice_bytes))
    plain = PLAIN_BODY_BYTES + BYTES_PER_CHARACTER * settings.max_text_characters
    keys = keys_of(settings.api_keys)
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
            expose_headers=READABLE_HEADERS,
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
    """What speaks queued jobs, until the server begins to end."""
    best = partial(best_attempt, state.transcriber, state.request_defaults.max_attempts)
    return JobMaker(cloner, voices, best, lambda: state.drain.begun, state.metrics.note_job)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket bound to this address. StartError names the remedy where it can't be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Where the protocol is named asyncio turns Nagle's algorithm off, which holds answers up by 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; each connection has what its listening socket has
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            remedy = f"Another program uses port {port}; stop it, or choose another port (--port {port + 1})."
        elif error.errno == errno.EACCES:
            remedy = f"Port {port} needs an administrator's rights; choose one above 1023 (--port 8000)."
        else:
            remedy = (
                f"{error.strerror or error}; --host takes an address of this machine, or 0.0.0.0 for all."
            )
        raise StartError(f"Can't listen on {host}:{port}. {remedy}") from error
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """Where people on this machine find the server."""
    shown = "localhost" if host in ("0.0.0.0", "::", "127.0.0.1", "::1") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}/"


def proxy_options(settings: Settings) -> dict[str, Any]:
    """Whose x-forwarded-for uvicorn believes: nobody's where no proxy is set."""
    trusted = settings.trusted_proxies
    return {"proxy_headers": trusted is not None, "forwarded_allow_ips": trusted or ""}


def end_soon(state: ServerState, error: EngineFailed, stop: Callable[[], None]) -> None:
    """The engine works no more: /health says so, and after FAILED_SECONDS the process is stopped."""
    state.failure = error
    later = threading.Timer(FAILED_SECONDS, stop)
    later.daemon = True
    later.start()


def main() -> None:
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
            **proxy_options(settings),
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
