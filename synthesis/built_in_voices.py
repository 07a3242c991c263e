"""The voices that a model brings: recordings in its folder, named in voices/voices.json.

    {"default": "hugo", "voices": [{"id": "hugo", "description": "...", "file": "hugo.flac",
     "transcript": "...", "answers_to": ["alloy"]}]}

A voice is found by its id or by a name that it answers to. A model without the table has one voice, its own.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from errors import StartError

TABLE = Path("voices") / "voices.json"


@dataclass(frozen=True)
class BuiltInVoice:
    """recording: the bytes of a sound file that is cloned; transcript: its words; answers_to: other names."""

    id: str
    description: str
    recording: bytes
    transcript: str
    answers_to: tuple[str, ...]


class BuiltInVoices:
    """The voices of a model, in the order of its table.

    voices:  may be empty.
    default: the id of the one that speaks where a request names none.
    """

    def __init__(self, voices: list[BuiltInVoice], default: str | None) -> None:
        self.voices = tuple(voices)
        self._by_name = {name: voice for voice in voices for name in (voice.id, *voice.answers_to)}
        self.default = self._by_name[default] if default else None

    @classmethod
    def load(cls, folder: Path) -> "BuiltInVoices":
        """Read a model's table; StartError where it or a recording can't be read."""
        path = folder / TABLE
        if not path.exists():
            return cls([], None)
        try:
            table = json.loads(path.read_text("utf-8"))
            voices = [
                BuiltInVoice(
                    row["id"],
                    row["description"],
                    (path.parent / row["file"]).read_bytes(),
                    row["transcript"],
                    tuple(row["answers_to"]),
                )
                for row in table["voices"]
            ]
            return cls(voices, table["default"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StartError(f"{path} can't be used ({error!r}). Fetch the model's folder again.") from error

    def find(self, name: str) -> BuiltInVoice | None:
        """The voice of an id or a name that it answers to."""
        return self._by_name.get(name)
