"""Prometheus metrics."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from api.request_context import TURN, WEBSOCKET, RequestContext
from audio.frames import FRAME_RATE
from higgs.engine.request import Generation
from voice_cloning import VoiceCloner

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120)
FACTORS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
HEARD_SECONDS = 0.01  # a shorter wait for more sound is none: players hold that much
# Other methods, which clients can invent, would create new time series.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", WEBSOCKET, TURN)
CLOSE_CODES = range(1000, 1016)  # of RFC 6455 and IANA; clients can choose others, too


class Metrics:
    """The metrics of one app, in their own registry.

    Args:
        cloner: returns the model, None until it is loaded.
        sockets: returns the number of open WebSockets.
    """

    def __init__(self, cloner: Callable[[], VoiceCloner | None], sockets: Callable[[], int]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(ModelFigures(cloner))
        self._requests = Counter(
            "higgs_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "higgs_request_seconds",
            "Time from request to the end of the response.",
            ("route",),
            registry=registry,
            buckets=SECONDS,
        )
        self._first_audio = Histogram(
            "higgs_first_audio_seconds",
            "Time from request to the first audio of a streamed response.",
            registry=registry,
            buckets=SECONDS,
        )
        self._streams = Counter(
            "higgs_streams",
            "Streamed answers, by whether a player that began with the first sound had to wait for more.",
            ("underrun",),
            registry=registry,
        )
        self._underruns = Counter(
            "higgs_underrun_seconds", "Seconds for which such players had to wait.", registry=registry
        )
        self._errors = Counter("higgs_errors", "Errors returned to clients.", ("code",), registry=registry)
        self._closed = Counter(
            "higgs_sockets_closed",
            "WebSockets closed or refused, by close code.",
            ("code", "route"),
            registry=registry,
        )
        Gauge("higgs_sockets", "Open WebSockets.", registry=registry).set_function(sockets)
        self._redis_failures = Counter("higgs_redis_failures", "Failed calls to Redis.", registry=registry)
        self._takes = Counter("higgs_takes_made_again", "Bad attempts repeated.", registry=registry)
        self._queued = Histogram(
            "higgs_queue_seconds",
            "Time that a text, or a part of a long one, waits for a slot.",
            registry=registry,
            buckets=SECONDS,
        )
        self._factor = Histogram(
            "higgs_real_time_factor",
            "Seconds of work per second of speech, from slot to last frame.",
            registry=registry,
            buckets=FACTORS,
        )
        self._speech = Counter("higgs_speech_seconds", "Speech generated, in seconds.", registry=registry)

        self._pieces = Counter("higgs_job_pieces", "Pieces of speech jobs made.", registry=registry)
        self._jobs = Counter("higgs_jobs_ended", "Speech jobs that ended.", ("status",), registry=registry)

    def note_request(self, record: RequestContext) -> None:
        method = record.method if record.method in METHODS else "other"
        self._requests.labels(method, record.route, str(record.status)).inc()
        if record.method == WEBSOCKET:  # open as long as its client likes
            closed = record.close_code
            known = closed is None or closed in CLOSE_CODES
            self._closed.labels(str(closed) if known else "other", record.route).inc()
        else:
            self._seconds.labels(record.route).observe(record.seconds)
        if record.first_audio is not None:
            self._first_audio.observe(record.first_audio)
        if record.underrun is not None:
            self._streams.labels("yes" if record.underrun > HEARD_SECONDS else "no").inc()
            self._underruns.inc(record.underrun)
        for code in record.errors:
            self._errors.labels(code).inc()
        self._takes.inc(record.retries)

    def note_redis_failure(self) -> None:
        """Record a failed call to Redis."""
        self._redis_failures.inc()

    def note_job(self, ended: str | None) -> None:
        """A piece of a job was made or, where a status is given, a job ended with it."""
        if ended is None:
            self._pieces.inc()
        else:
            self._jobs.labels(ended).inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format of the header `accept`, and the content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def note_generation(self, generation: Generation) -> None:
        """Record a finished generation."""
        self._queued.observe(generation.waited)
        speech = generation.frames / FRAME_RATE
        if speech:
            self._speech.inc(speech)
            self._factor.observe(generation.worked / speech)


class ModelFigures(Collector):
    """Metrics of the engine and caches, collected on request."""

    def __init__(self, cloner: Callable[[], VoiceCloner | None]) -> None:
        self._cloner = cloner

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        cloner = self._cloner()
        if cloner is None:
            return
        served = cloner.resident.loaded
        yield GaugeMetricFamily(
            "higgs_model_loaded", "1 while the model is in memory.", value=served is not None
        )
        if served is None:
            return
        engine = served.engine
        for name, meaning, value in (
            ("higgs_waiting_requests", "Requests in the queue.", engine.waiting),
            ("higgs_speaking_requests", "Requests that hold a slot.", engine.running),
            ("higgs_slots", "Requests that can speak at once.", engine.slots),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        lookups = CounterMetricFamily(
            "higgs_cache_lookups", "Recordings and voices looked up.", labels=("cache", "result")
        )
        for name, use in {"reference": cloner.reference_use, "voice": engine.prefix_use}.items():
            lookups.add_metric((name, "hit"), use.hits)
            lookups.add_metric((name, "miss"), use.misses)
        yield lookups
