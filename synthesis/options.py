"""How a request wants a text spoken."""

from dataclasses import dataclass, field, replace

from audio.delivery import Delivery
from higgs.engine.sampler import SamplingOptions
from text.normalise import SUSTAINED_SOUNDS
from text.pronunciations import Entries


@dataclass(frozen=True)
class SpeechOptions:
    """How to speak; None for the model's default.

    Attributes:
        temperature, top_k, top_p, seed: sampling.
        max_steps: maximum length in columns of 40 ms.
        delivery, pronunciations: override the voices' own.
        scene: scene description, for models that follow it; None for a quiet room.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    max_steps: int | None = None
    delivery: Delivery = Delivery()
    scene: str | None = None
    pronunciations: Entries = field(default_factory=dict)

    def sampling(self, defaults: SamplingOptions, text: str) -> SamplingOptions:
        """Return the sampling for a text: these options, else the model's defaults.

        Raises:
            InvalidRequest: an option is out of range.
        """
        names = ("temperature", "top_k", "top_p", "seed")
        chosen = {name: value for name in names if (value := getattr(self, name)) is not None}
        sampling = replace(defaults, **chosen)
        if any(sound in text for sound in SUSTAINED_SOUNDS):
            sampling = replace(sampling, ras_window=0)
        return sampling
