"""Responses of /v1/content_provenance_checks, in OpenAI's shape with types of our own."""

from typing import Literal

from pydantic import BaseModel, Field

Outcome = Literal["detected", "not_detected"]


class MarkedSpan(BaseModel):
    """A part of the recording that has the watermark, in seconds; windows of 15 s are looked at."""

    start: float
    end: float


class WatermarkResult(BaseModel):
    """Whether the inaudible watermark of this server's speech was found, as it leaves by HIGGS_WATERMARK."""

    type: Literal["watermark"] = "watermark"
    outcome: Outcome
    confidence: float = Field(description="1 minus false_alarm_probability where detected, else 0.")
    false_alarm_probability: float = Field(
        description="Upper bound of the probability that a recording without the mark looks so much like one"
        " that has it; detected is 1e-6 or less."
    )
    score: float = Field(description="Strength of the mark, in standard deviations.")
    speed: float = Field(description="Times as fast as the speech was made.")
    spans: list[MarkedSpan] = Field(description="Where it was found.")


class MetadataResult(BaseModel):
    """Whether the file's tags say that this software made it. Tags are easily removed, and easily written."""

    type: Literal["metadata"] = "metadata"
    outcome: Outcome
    model: str | None = Field(description="The model that the tags name.")


class ContentProvenanceCheck(BaseModel):
    """What a file shows of its origin. not_detected proves nothing: marks can be lost, others set none."""

    object: Literal["content_provenance_check"] = "content_provenance_check"
    created_at: int
    results: list[WatermarkResult | MetadataResult]
