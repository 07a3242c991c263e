"""From the engine's codes to samples, streaming or complete."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Literal

import numpy as np

from audio.fades import CUT, START, fade_in, fade_out
from audio.frames import HOP, SAMPLE_RATE
from audio.quiet_ends import DeadSound, without_quiet_end
from errors import ModelError
from higgs.code_stream import NO_CODES, CodeStream
from higgs.codecs.base import Codec, CodecDecoder
from higgs.engine.engine import Engine
from higgs.engine.sampler import SamplingOptions
from higgs.engine.scheduler import Place
from higgs.playback import MAX_CHUNK, Playback
from higgs.prompts.v2 import Reference
from higgs.runs import runs_of
from higgs.segments import SpeechSegment
from higgs.spoken import SampleBuffer, Speech, SpeechReport, SpokenText

FIRST_CHUNK = 8  # frames
FIRST_SOUND = 2  # minimum number of final frames in the first chunk


class SpeechStream:
    """Speech in progress: call `speech` for all of it, or iterate once; `cancel` from any thread.

    Args:
        segments: spoken in order. Their first chunk is queued at once; the others don't queue again.
        options: for the first chunk; chunk n uses seed + n. If the model ends before it speaks, further seeds
            are tried, but none for a first chunk whose seed was given.
        longest: maximum columns in all; None for the chunks' own limits only.
        place: held in the queue for the first chunk.
        background: each chunk waits until no other request does.
        admitted: the first chunk continues earlier speech, so a full queue doesn't refuse it.

    Raises:
        InvalidRequest: a chunk doesn't fit into the engine; see Engine.check.
        Overloaded, EngineFailed, ShuttingDown: see Engine.submit.
    """

    def __init__(
        self,
        engine: Engine,
        codec: Codec,
        segments: Sequence[SpeechSegment],
        options: SamplingOptions,
        longest: int | None = None,
        place: Place | None = None,
        background: bool = False,
        admitted: bool = False,
    ) -> None:
        self._chunks = [chunk for segment in segments for chunk in segment.chunks]
        self._codec, self._segments = codec, segments
        self._decoder: CodecDecoder | None = None  # of the current run
        self._stream = CodeStream(engine, self._chunks, options, longest, place, background, admitted)
        self._heard = 0  # samples given out
        self._begun: list[int] = []  # samples given out before each segment
        self._dead: dict[int, Literal["stop", "length"]] = {}  # chunks that were stopped in long silence
        self._watchers: list[Callable[[np.ndarray], None]] = []
        self._samples_spoken = 0

    def _samples(self, chunks: range, at_once: bool) -> Iterator[np.ndarray]:
        """Yield what the model speaks of a segment: runs of sound, and the pauses between them.

        at_once: not streamed, so blocks are larger, as far as the codec's memory allows.
        """
        playback = Playback()
        for run in runs_of(chunks, self._chunks):
            pause = self._chunks[run[0] - 1].pause if run[0] > chunks[0] else 0
            for samples in self._run(run, playback, at_once, last=run.stop == chunks.stop):
                if pause:
                    playback.note_pause(pause / SAMPLE_RATE)
                    yield np.zeros(pause, np.float32)
                    pause = 0
                yield samples
            if len(self._stream.codes) < run.stop:
                return

    def _run(self, run: range, playback: Playback, at_once: bool, last: bool) -> Iterator[np.ndarray]:
        """Yield one run of sound, until its last chunk is silent for too long. last: no other run follows."""
        decoder, frames = self._codec.decoder(), self._stream.frames(run)
        self._decoder = decoder
        first = MAX_CHUNK if at_once else max(FIRST_CHUNK, decoder.ahead + FIRST_SOUND)
        growing = playback.chunks(frames, first, decoder.ahead)
        dead_sound, given = DeadSound(), 0
        for codes, whole in chain(((codes, False) for codes in growing), [(NO_CODES, True)]):
            samples = fade_in(decoder.push(codes, whole), START, given)
            end = dead_sound.push(samples, self._last_begun(run))
            if end is not None and not whole:
                end = -(-end // HOP) * HOP
                samples = samples[: max(end - given, 0)]
            given += len(samples)
            self._samples_spoken += len(samples)
            for watch in self._watchers:
                watch(samples)
            yield fade_out(samples, CUT) if whole and not last else samples
            if end is not None and not whole:
                growing.close()
                frames.close()
                return self._stop_dead(run, end, dead_sound.sounding)

    def _last_begun(self, run: range) -> int:
        """Return at which sample of a run its last chunk begins; far ahead while that is not known."""
        before = self._stream.codes[run[0] : run[-1]]
        return sum(codes.shape[1] for codes in before) * HOP if len(before) == len(run) - 1 else sys.maxsize

    def _stop_dead(self, run: range, end: int, sounding: int) -> None:
        """Stop the last text chunk of a run after a long silence.

        end, sounding: in samples of the run. The chunk counts as complete if its text can have been spoken by
        then.
        """
        index, begun = run[-1], self._last_begun(run)
        self._stream.stop(index, (end - begun) // HOP)
        spoken = (sounding - begun) // HOP
        self._dead[index] = "stop" if spoken >= self._chunks[index].min_frames else "length"

    def _sound(self, at_once: bool) -> Iterator[np.ndarray]:
        """Yield what is heard: filtered, with pauses."""
        begun = 0
        for segment in self._segments:
            chunks = range(begun, begun + len(segment.chunks))
            begun = chunks.stop
            self._begun.append(self._heard)
            for samples in segment.filter(without_quiet_end(self._samples(chunks, at_once))):
                self._heard += len(samples)
                yield samples
            if len(self._stream.codes) < begun:
                return
            self._heard += segment.silence
            yield np.zeros(segment.silence, np.float32)

    def speech(self) -> Speech:
        """Wait for the whole speech.

        Raises:
            Cancelled: the speech was cancelled.
            ModelError: the model failed, or ended without a frame (no_audio).
        """
        as_spoken, heard = SampleBuffer(), SampleBuffer()
        changed = any(segment.silence or segment.filter is not iter for segment in self._segments)
        changed = changed or any(chunk.pause for chunk in self._chunks)
        self.watch(as_spoken.append)
        for samples in self._sound(at_once=True):
            if changed:
                heard.append(samples)
        if not self._samples_spoken:
            raise ModelError("The model ended before it spoke; try another seed.", code="no_audio")
        samples = heard.samples if changed else as_spoken.samples[: self._heard]
        return Speech(samples=samples, as_spoken=as_spoken.samples, **vars(self.finished()))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield float32 samples (n,) at 24 kHz in growing chunks. For errors see `speech`."""
        return self._sound(at_once=False)

    def watch(self, watcher: Callable[[np.ndarray], None]) -> None:
        """Register a callback for all samples as the model speaks them, before pauses and filters."""
        self._watchers.append(watcher)

    def finished(self) -> SpeechReport:
        """Return the report, once the whole speech was consumed."""
        prompts = [generation.prompt for generation in self._stream.spoken]
        reasons = [self._dead.get(number, s.finish_reason) for number, s in enumerate(self._stream.spoken)]
        whole = len(reasons) == len(self._chunks) and all(reason == "stop" for reason in reasons)
        return SpeechReport(
            finish_reason="stop" if whole else "length",
            prompt_text_tokens=sum(prompt.text_tokens for prompt in prompts),
            prompt_audio_tokens=sum(prompt.audio_tokens for prompt in prompts),
            completion_audio_tokens=self._samples_spoken // HOP,
            seed=self.seed,
            texts=tuple(self.texts()),
        )

    def texts(self) -> Iterator[SpokenText]:
        """Yield where each chunk's text was spoken so far; one still to come has no duration.

        Call it between two blocks of samples, or at the end.
        """
        end, chunks = 0, enumerate(self._chunks)
        begins = [*self._begun, *[self._heard] * (len(self._segments) - len(self._begun))]
        for place, (segment, begun) in enumerate(zip(self._segments, begins, strict=True)):
            within = 0  # samples of the segment before a chunk
            for number, chunk in islice(chunks, len(segment.chunks)):
                codes, whole = self._stream.so_far(number), number < len(self._stream.codes)
                start, end = end, end + codes.shape[1] * HOP
                heard = (begun + within / segment.tempo) / SAMPLE_RATE
                within += end - start + chunk.pause
                times = start / SAMPLE_RATE, end / SAMPLE_RATE, heard
                until = self._until(place) if chunk is segment.chunks[-1] else math.inf
                yield SpokenText(chunk.text, *times, segment.tempo, codes, whole, until)

    def _until(self, place: int) -> float | None:
        """Return when a segment's sound has ended, in seconds of what is heard; None until that is known."""
        if place == len(self._segments) - 1:
            return math.inf
        if place + 1 >= len(self._begun):
            return None
        return (self._begun[place + 1] - self._segments[place].silence) / SAMPLE_RATE

    @property
    def seconds_heard(self) -> float:
        """Duration of the samples given out so far."""
        return self._heard / SAMPLE_RATE

    @property
    def last_said(self) -> Reference | None:
        """Codes and words of the last chunk, to continue from; None before the end or if incomplete."""
        whole = self._stream.complete and self._stream.codes[-1].numel()
        good = whole and self.finished().finish_reason == "stop"
        return Reference(self._stream.codes[-1], self._chunks[-1].text) if good else None

    @property
    def seed(self) -> int:
        """The seed that reproduces this speech; final once the first samples are available."""
        return self._stream.spoken[0].seed

    def cancel(self) -> None:
        """Stop before the next step; consumers get Cancelled."""
        self._stream.cancel()
        if self._decoder is not None:
            self._decoder.cancel()
