"""The steps of one onboarding, recorded in its session."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from errors import Cancelled, StoreUnavailable, VoiceServerError
from voices.store.sessions import Sessions, Step
from voices.store.tables import SessionState, VoiceCloneSession
from voices.voice_order import VoiceOrder

Result = TypeVar("Result")


class Progress:
    """The steps so far; each change is saved in the session, and yielded."""

    def __init__(self, sessions: Sessions, voice_id: str) -> None:
        self._sessions, self._voice_id = sessions, voice_id
        self._steps: list[Step] = []

    @property
    def steps(self) -> list[Step]:
        """The steps started so far: name, state (running, completed or failed), started_at and seconds."""
        return [dict(step) for step in self._steps]

    @contextmanager
    def recorded(self, order: VoiceOrder) -> Iterator[None]:
        """Keep a session while the block runs; if it ends before the voice is saved, record why."""
        self._sessions.begin(_session(order, self._voice_id))
        with self._sessions.held(self._voice_id):
            try:
                yield
            except VoiceServerError as error:
                self._end("cancelled" if isinstance(error, Cancelled) else "failed", error)
                raise
            except Exception:
                message = "The server failed; its log says why."
                self._end("failed", VoiceServerError(message, code="internal_error"))
                raise

    def step(self, name: str, work: Callable[[], Result]) -> Generator[list[Step], None, Result]:
        """Run one step; record it, and yield all steps when it starts and when it ends."""
        step: Step = {"name": name, "state": "running", "started_at": time.time(), "seconds": None}
        self._steps.append(step)
        self._sessions.progress(self._voice_id, self._steps)
        yield self.steps
        try:
            result = work()
        except BaseException:
            step |= {"state": "failed", "seconds": time.time() - step["started_at"]}
            raise
        step |= {"state": "completed", "seconds": time.time() - step["started_at"]}
        yield self.steps
        return result

    def completed(self) -> list[Step]:
        """Return the steps as they will be once the running one, the last, has ended."""
        last = self._steps[-1]
        return [*self._steps[:-1], last | {"state": "completed", "seconds": time.time() - last["started_at"]}]

    def _end(self, state: SessionState, error: VoiceServerError) -> None:
        """Record the end of the session; if the database is unavailable, the next start will."""
        with suppress(StoreUnavailable):
            self._sessions.end(self._voice_id, state, self._steps, error)


def _session(order: VoiceOrder, voice_id: str) -> VoiceCloneSession:
    return VoiceCloneSession(
        voice_id=voice_id,
        owner=order.owner,
        user_id=order.user_id,
        voice_name=order.name,
        file_name=order.file_name[-255:],
        upload_bytes=len(order.upload),
        created_at=time.time(),
        state="running",
        steps=[],
    )
