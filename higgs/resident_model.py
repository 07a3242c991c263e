"""A model that is in memory only while needed: unloaded when idle, reloaded on use."""

import ctypes
import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from concurrency import on_cancel
from errors import EngineFailed, Loading, Overloaded
from higgs.codecs.base import Codec
from higgs.engine.engine import Engine
from higgs.engine.failure import Failed
from higgs.engine.scheduler import Place
from higgs.loading import LoadedModel, load
from higgs.speech import SpeechStream

log = logging.getLogger(__name__)

MAX_WATCH_SECONDS = 5.0  # between two looks whether the model is idle


@dataclass(frozen=True)
class ServedModel:
    """The engine, which owns a language model, and its codec."""

    engine: Engine
    codec: Codec

    @classmethod
    def of(cls, loaded: LoadedModel, queue_limit: int) -> "ServedModel":
        engine = Engine(
            loaded.checkpoint.model,
            slots=loaded.plan.slots,
            capacity=loaded.plan.positions,
            queue_limit=queue_limit,
            kept_positions=loaded.plan.prefix_positions,
        )
        return cls(engine, loaded.codec)


class ResidentModel:
    """Loads and unloads a model. Thread-safe.

    Args:
        loaded: the model as first loaded; no reference to it is kept.
        queue_limit: maximum queued requests of the engine.
        ready: warms up a model that was loaded again.
    """

    def __init__(self, loaded: LoadedModel, queue_limit: int, ready: Callable[[ServedModel], None]) -> None:
        self._served: ServedModel | None = ServedModel.of(loaded, queue_limit)
        self._request, self._queue_limit, self._ready = loaded.again, queue_limit, ready
        self._changing = threading.RLock()
        self._users = 0
        self._streams: weakref.WeakSet[SpeechStream] = weakref.WeakSet()
        self._last_used = time.monotonic()
        self._act: Failed | None = None
        self._closed = threading.Event()
        self.state: Literal["loaded", "loading", "unloaded"] = "loaded"

    @property
    def loaded(self) -> ServedModel | None:
        """The model if it is loaded, else None; doesn't load it."""
        return self._served

    def use(self) -> ServedModel:
        """Return the model, loading it again if it was unloaded. Raises Loading if that's impossible now."""
        with self._changing:
            self._last_used = time.monotonic()
            if self._served is None:
                self._load_again()
            assert self._served is not None
            return self._served

    @contextmanager
    def in_use(self) -> Iterator[ServedModel]:
        """Return the model, see `use`; it stays loaded while the block runs."""
        with self._changing:
            served = self.use()
            self._users += 1
        try:
            yield served
        finally:
            with self._changing:
                self._users -= 1
                self._last_used = time.monotonic()

    @contextmanager
    def admitted(self) -> Iterator[Place]:
        """Hold a place in the engine's queue while a request is prepared.

        It is released at the end of the block, or when the work is cancelled.

        Raises:
            Overloaded: the queue is full.
            Loading: see `use`.
        """
        with self.in_use() as served:
            place = served.engine.reserve()
        on_cancel(place.release)
        try:
            yield place
        finally:
            place.release()

    @property
    def overload(self) -> Overloaded | None:
        """What `admitted` would raise now; None if there is room."""
        served = self._served
        return None if served is None else served.engine.overload

    def stay_for(self, stream: SpeechStream) -> SpeechStream:
        """Keep the model loaded while the stream is referenced; return the stream."""
        with self._changing:
            self._streams.add(stream)
        return stream

    def unload(self) -> bool:
        """Unload the model unless it is working; return whether it is unloaded now."""
        with self._changing:
            if self._served is None:
                return True
            if self._streams:
                gc.collect()  # ended streams may still be part of reference cycles
            if self._streams or self._works(self._served):
                return False
            self._served.engine.close()
            self._served, self.state = None, "unloaded"
        release_memory()
        log.info("the model is unloaded")
        return True

    def unload_when_idle(self, seconds: float) -> None:
        """Unload the model whenever it was idle for this many seconds; never for 0."""
        if not seconds:
            return
        watch = threading.Thread(target=self._watch, args=(seconds,), name="keep-alive", daemon=True)
        watch.start()

    def when_failed(self, act: Failed) -> None:
        """Register a callback for when the engine, or a later one, gives up."""
        with self._changing:
            self._act = act
            if self._served is not None:
                self._served.engine.when_failed(act)

    @property
    def waiting(self) -> int:
        """Number of requests waiting for the model."""
        served = self._served
        return 0 if served is None else served.engine.waiting

    @property
    def failed(self) -> EngineFailed | None:
        """See Engine.failed; None while the model is unloaded."""
        served = self._served
        return None if served is None else served.engine.failed

    def close(self) -> None:
        """Cancel all requests and free the model."""
        self._closed.set()
        if (served := self._served) is not None:
            served.engine.close()

    def _works(self, served: ServedModel) -> bool:
        return self._users > 0 or not served.engine.idle

    def _load_again(self) -> None:
        self.state = "loading"
        began = time.monotonic()
        try:
            self._served = ServedModel.of(load(self._request), self._queue_limit)
            self._ready(self._served)
            if self._act is not None:
                self._served.engine.when_failed(self._act)
        except Exception as error:
            log.exception("the model can't be loaded again")
            if self._served is not None:  # its thread would keep the model
                self._served.engine.close()
            self._served, self.state = None, "unloaded"
            message = f"The model can't be loaded again: {error}"
            raise Loading(message, retry_after=10) from error
        self.state = "loaded"
        log.info("the model is loaded again", extra={"details": {"seconds": time.monotonic() - began}})

    def _watch(self, seconds: float) -> None:
        while not self._closed.wait(min(seconds / 4, MAX_WATCH_SECONDS)):
            with self._changing:
                if self._served is None:
                    continue
                if self._works(self._served):
                    self._last_used = time.monotonic()
                idle = time.monotonic() - self._last_used
            if idle >= seconds:
                self.unload()


def release_memory() -> None:
    """Return freed memory to the system: Python's cycles, the device's cache, glibc's heap."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
