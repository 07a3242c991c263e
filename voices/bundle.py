"""A voice as one file, to be carried to another server: a ZIP of `voice.json` and `reference.flac`."""

import json
import math
import zipfile
from dataclasses import asdict, dataclass, field, fields
from io import BytesIO
from typing import Any

from errors import InvalidRequest
from voices.tables import MOST_FLAC_BYTES

FORMAT = "voice/1"
DESCRIPTION, RECORDING = "voice.json", "reference.flac"
MOST_BYTES = {DESCRIPTION: 2**16, RECORDING: MOST_FLAC_BYTES}


@dataclass(frozen=True)
class Bundle:
    """What a voice is made of. The codes are left out: each server makes those of its own codec.

    delivery: how it speaks where nobody says, as read: whoever takes it checks it.
    """

    name: str
    transcript: str | None
    source_seconds: float
    start_seconds: float
    end_seconds: float
    flac: bytes
    delivery: dict[str, Any] = field(default_factory=dict)

    def packed(self) -> bytes:
        """The file."""
        described = {name: value for name, value in asdict(self).items() if name != "flac"}
        output = BytesIO()
        with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(DESCRIPTION, json.dumps({"format": FORMAT, **described}, indent=1))
            archive.writestr(RECORDING, self.flac)
        return output.getvalue()

    @classmethod
    def unpacked(cls, data: bytes) -> "Bundle":
        """Read a file back. InvalidRequest (voice_file_invalid) if it is none, or holds more than a voice."""
        try:
            with zipfile.ZipFile(BytesIO(data)) as archive:
                parts = {name: _read(archive, name) for name in MOST_BYTES}
            described = json.loads(parts[DESCRIPTION])
            return cls(flac=parts[RECORDING], **_checked(described))
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            KeyError,
            ValueError,
            TypeError,
        ) as error:
            message = f"The file is no exported voice: {error}. Send one as the export route gives it."
            raise InvalidRequest(message, code="voice_file_invalid") from error


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """A part of no more bytes than it may have, whatever the archive says of its size."""
    with archive.open(name) as part:
        data = part.read(MOST_BYTES[name] + 1)
    if len(data) > MOST_BYTES[name]:
        raise ValueError(f"its {name} is too large")
    return data


def _checked(described: Any) -> dict[str, Any]:
    if described["format"] != FORMAT:
        raise ValueError(f"its format is {described['format']!r}, not {FORMAT!r}")
    described = {"delivery": {}} | described  # files of the first servers have none
    values = {field.name: described[field.name] for field in fields(Bundle) if field.name != "flac"}
    if not isinstance(values["name"], str) or not isinstance(values["transcript"], str | None):
        raise ValueError("its name or transcript is no text")
    if not isinstance(values["delivery"], dict):
        raise ValueError("its delivery is none")
    times = [float(values[f"{kind}_seconds"]) for kind in ("source", "start", "end")]
    if not all(map(math.isfinite, times)) or not 0 <= times[1] < times[2] <= times[0]:
        raise ValueError("its times make no sense")
    return values
