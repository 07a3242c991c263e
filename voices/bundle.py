"""A voice as one file, for transfer to another server: a ZIP of `voice.json` and FLAC recordings."""

import json
import math
import zipfile
from dataclasses import asdict, dataclass, field, fields
from io import BytesIO
from typing import Any

from errors import InvalidRequest
from voices.store.samples import MAX_SAMPLES
from voices.store.tables import MAX_FLAC_BYTES

FORMAT = "voice/1"
DESCRIPTION, RECORDING, SAMPLE = "voice.json", "reference.flac", "sample_{}.flac"
MAX_DESCRIPTION = 2**19


@dataclass(frozen=True)
class Bundle:
    """An exported voice. Codes are left out: each server encodes with its own codec.

    Attributes:
        name: name of the voice.
        transcript: words of the recording.
        source_seconds, start_seconds, end_seconds: duration of the upload, and the part that was used.
        flac: the recording.
        delivery: the voice's default delivery as read from the file, unvalidated.
        pronunciations: how it says words, likewise.
        samples: transcript and FLAC of further recordings.
    """

    name: str
    transcript: str | None
    source_seconds: float
    start_seconds: float
    end_seconds: float
    flac: bytes
    delivery: dict[str, Any] = field(default_factory=dict)
    samples: tuple[tuple[str, bytes], ...] = ()
    pronunciations: dict[str, Any] = field(default_factory=dict)

    def packed(self) -> bytes:
        """Return the file's bytes."""
        described = {name: value for name, value in asdict(self).items() if name not in ("flac", "samples")}
        described["sample_texts"] = [words for words, _ in self.samples]
        output = BytesIO()
        with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(DESCRIPTION, json.dumps({"format": FORMAT, **described}, indent=1))
            archive.writestr(RECORDING, self.flac)
            for number, (_, flac) in enumerate(self.samples):
                archive.writestr(SAMPLE.format(number), flac)
        return output.getvalue()

    @classmethod
    def unpacked(cls, data: bytes) -> "Bundle":
        """Read a file. Raises InvalidRequest (voice_file_invalid) if it isn't a voice."""
        try:
            with zipfile.ZipFile(BytesIO(data)) as archive:
                described = json.loads(_read(archive, DESCRIPTION))
                values, texts = _checked(described), _sample_texts(described)
                flac = _read(archive, RECORDING)
                samples = [(words, _read(archive, SAMPLE.format(n))) for n, words in enumerate(texts)]
                return cls(flac=flac, samples=tuple(samples), **values)
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            KeyError,
            ValueError,
            TypeError,
        ) as error:
            message = f"The file is not an exported voice: {error}. Send a file from the export route."
            raise InvalidRequest(message, code="voice_file_invalid") from error


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member, but no more than its maximum size, whatever the archive declares."""
    max_bytes = MAX_DESCRIPTION if name == DESCRIPTION else MAX_FLAC_BYTES
    with archive.open(name) as part:
        data = part.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"its {name} is too large")
    return data


def _checked(described: Any) -> dict[str, Any]:
    if described["format"] != FORMAT:
        raise ValueError(f"its format is {described['format']!r}, not {FORMAT!r}")
    described = {"delivery": {}, "pronunciations": {}} | described  # older files have none
    names = [field.name for field in fields(Bundle) if field.name not in ("flac", "samples")]
    values = {name: described[name] for name in names}
    if not isinstance(values["name"], str) or not isinstance(values["transcript"], str | None):
        raise ValueError("its name or transcript is not a string")
    for name in ("delivery", "pronunciations"):
        if not isinstance(values[name], dict):
            raise ValueError(f"its {name} is not an object")
    times = [float(values[f"{kind}_seconds"]) for kind in ("source", "start", "end")]
    if not all(map(math.isfinite, times)) or not 0 <= times[1] < times[2] <= times[0]:
        raise ValueError("start_seconds and end_seconds are not within source_seconds")
    return values


def _sample_texts(described: dict[str, Any]) -> list[str]:
    texts = described.get("sample_texts", [])
    if not isinstance(texts, list) or len(texts) > MAX_SAMPLES or not all(isinstance(t, str) for t in texts):
        raise ValueError(f"its sample_texts are not up to {MAX_SAMPLES} texts")
    return texts
