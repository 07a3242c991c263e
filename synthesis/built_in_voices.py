"""A model's built-in voices: recordings in its folder, listed in voices/voices.json.

    {"default": "hugo", "voices": [{"id": "hugo", "description": "...", "file": "hugo.flac",
     "transcript": "...", "answers_to": ["alloy"]}]}

A voice is found by its id or an alias in answers_to. A model without this file has one voice, its own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from errors import StartError
from synthesis.references import VoiceReference

TABLE = Path("voices") / "voices.json"


@dataclass(frozen=True)
class BuiltInVoice:
    """A built-in voice.

    Attributes:
        recording: bytes of the audio file to clone.
        transcript: its words.
        answers_to: aliases.
    """

    id: str
    description: str
    recording: bytes
    transcript: str
    answers_to: tuple[str, ...]


class BuiltInVoices:
    """A model's built-in voices, in the order of the file.

    Attributes:
        voices: may be empty.
        default: the voice used if a request names none.
    """

    def __init__(self, voices: list[BuiltInVoice], default: str | None) -> None:
        self.voices = tuple(voices)
        self._by_name = {name: voice for voice in voices for name in (voice.id, *voice.answers_to)}
        self.default = self._by_name[default] if default else None
        self._references: dict[str, VoiceReference] = {}

    @classmethod
    def load(cls, folder: Path) -> "BuiltInVoices":
        """Read a model's voices. Raises StartError if the file or a recording can't be read."""
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
            raise StartError(f"Can't use {path} ({error!r}). Download the model's folder again.") from error

    def reference(
        self, name: str | None, clone: Callable[[bytes, str], VoiceReference]
    ) -> VoiceReference | None:
        """Return a voice's reference, cloned on first use; None if there is no such voice.

        Args:
            name: id or alias; None for the default voice.
            clone: encodes a recording with its transcript.
        """
        found = self.default if name is None else self.find(name)
        if found is None:
            return None
        if found.id not in self._references:
            self._references[found.id] = clone(found.recording, found.transcript)
        return self._references[found.id]

    def find(self, name: str) -> BuiltInVoice | None:
        """Return the voice with this id or alias."""
        return self._by_name.get(name)
