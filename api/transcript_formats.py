"""Transcripts in the formats of OpenAI's API."""

import zlib
from collections.abc import Iterable, Mapping
from html import escape

from api.schemas.transcription import (
    DurationUsage,
    InputTokenDetails,
    RecordingForm,
    TokenUsage,
    TranscriptLanguage,
    TranscriptSegment,
    TranscriptText,
    TranscriptWord,
    VerboseTranscript,
)
from asr.transcript import Segment, Transcript

TOKENS_PER_SECOND = 25  # a token is 40 ms of audio, as in all usage counts
FEATURES_PER_SECOND = 100  # the unit of Whisper's `seek`


def plain(transcript: Transcript) -> TranscriptText:
    languages = languages_of([transcript.language] if transcript.segments else [])
    usage = DurationUsage(seconds=transcript.seconds)
    return TranscriptText(text=transcript.text, languages=languages, usage=usage)


def languages_of(codes: Iterable[str]) -> list[TranscriptLanguage]:
    """Return each language once."""
    return [TranscriptLanguage(code=code) for code in dict.fromkeys(codes)]


def verbose(transcript: Transcript, form: RecordingForm, languages: Mapping[str, str]) -> VerboseTranscript:
    """Return verbose_json; `languages` maps codes to English names, which OpenAI's field language has."""
    words = [
        TranscriptWord(word=word.text, start=word.start, end=word.end, probability=word.probability)
        for word in transcript.words
    ]
    return VerboseTranscript(
        task="translate" if form.task.translate else "transcribe",
        language="english" if form.task.translate else languages[transcript.language],
        duration=transcript.seconds,
        text=transcript.text,
        segments=_segments(transcript.segments) if form.wants_segments else None,
        words=words if form.wants_words else None,
        usage=DurationUsage(seconds=transcript.seconds),
    )


def _segments(segments: Iterable[Segment]) -> list[TranscriptSegment]:
    return [
        TranscriptSegment(
            id=index,
            seek=int(segment.start * FEATURES_PER_SECOND),
            start=segment.start,
            end=segment.end,
            text=segment.text,
            tokens=list(segment.tokens),
            temperature=segment.temperature,
            avg_logprob=segment.mean_log_probability,
            compression_ratio=len(segment.text.encode()) / len(zlib.compress(segment.text.encode())),
            no_speech_prob=segment.no_speech_probability,
        )
        for index, segment in enumerate(segments)
    ]


def srt(transcript: Transcript) -> str:
    """SubRip subtitles. An arrow would be parsed as times, and the format has no escapes."""
    cues = enumerate(
        (_cue(segment, ",", segment.text.replace("-->", "->")) for segment in transcript.segments), 1
    )
    return "".join(f"{number}\n{cue}" for number, cue in cues)


def vtt(transcript: Transcript) -> str:
    """WebVTT subtitles. Text is escaped: "<" begins a tag, and an arrow would be parsed as times."""
    cues = (_cue(segment, ".", escape(segment.text, quote=False)) for segment in transcript.segments)
    return "WEBVTT\n\n" + "".join(cues)


def usage_of(segments: Iterable[Segment], seconds: float) -> TokenUsage:
    heard = round(seconds * TOKENS_PER_SECOND)
    written = sum(len(segment.tokens) or len(segment.text.split()) for segment in segments)
    return TokenUsage(
        input_tokens=heard,
        output_tokens=written,
        total_tokens=heard + written,
        input_token_details=InputTokenDetails(audio_tokens=heard),
    )


def _cue(segment: Segment, mark: str, text: str) -> str:
    """Return times, text on one line, and an empty line."""
    times = f"{_clock(segment.start, mark)} --> {_clock(segment.end, mark)}"
    return f"{times}\n{' '.join(text.split())}\n\n"


def _clock(seconds: float, mark: str) -> str:
    """1.5 → 00:00:01,500"""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{mark}{milliseconds % 1000:03}"
