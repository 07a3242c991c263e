"""Where a codec loses quality: recordings, features alone, the network without quantisation, and codes.

    make judges && python -m bench.ladder [--codec models/higgs-small/codec] [--voices ../shared/voices]

Each stage is judged by words, naturalness and similarity to the recording. Ends in one line of JSON: for
people and for held-out teachers, each stage.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

from asr.words import wrong_words
from audio.frames import SAMPLE_RATE
from bench.quality import ROOT, judge, spelled
from bench.quality_voices import Clip, people, pseudo_speakers
from higgs.codecs.base import Codec, decode, load_codec
from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME, Features, analyse
from higgs.codecs.vocoder.bands import NARROW, WIDE
from higgs.codecs.vocoder.speaker import absolute, loudness, speaker_of
from higgs.codecs.vocoder.synthesis import synthesise
from higgs.codecs.vocoder.v2.codec import VocoderCodec2
from higgs.codecs.vocoder.v2.network import BANDS, CONTEXT, UNREAD, VocoderNetwork2, prosody_vector
from speakers.encoder import weights_file
from speakers.verifier import SpeakerVerifier

MAX_CLIPS = 3  # of each held-out voice


def unquantised(network: VocoderNetwork2, samples: np.ndarray) -> np.ndarray:
    """Return a recording after encoder and decoder, without quantisation."""
    features = analyse(samples, WIDE)
    voice = speaker_of(features)
    level = torch.tensor([(voice.level - 5) * 2, np.log(max(voice.spread, 1e-3)) + 2])
    vector = torch.cat([level, torch.from_numpy(voice.timbre)]).float()
    relative = torch.from_numpy(features.envelope - loudness(features.envelope) - voice.timbre).clamp(min=-8)
    pitch = torch.from_numpy((features.log_f0 - voice.level) / max(voice.spread, 1e-3)).float()[None]
    voiced = torch.from_numpy(features.voiced)[None]
    latent = network.encoder(relative[None].float(), voiced, vector[None])
    prosody = prosody_vector(pitch.clamp(-3.5, 3.5), voiced)
    around = [
        torch.cat([part[:, :1]] * CONTEXT + [part] + [part[:, -1:]] * CONTEXT, 1)
        for part in (latent, prosody)
    ]
    frames = latent.shape[1] + 2 * CONTEXT
    unread, voices = torch.full((1, frames), UNREAD), vector.expand(1, frames, -1)
    out = network.decoder(unread, *(part.double() for part in (*around, voices)))[0].numpy()
    decoded = Features(
        voice.level + voice.spread * out[:, BANDS],
        1 / (1 + np.exp(-out[:, BANDS + 1])),
        np.zeros((len(out), 0)),
        absolute(out[:, :BANDS], voice.timbre, WIDE),
    )
    return synthesise(decoded, WIDE)


def rungs(codec: Codec, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Return a recording at each stage."""
    second = isinstance(codec, VocoderCodec2)
    bands = WIDE if second else NARROW
    whole = samples[: len(samples) // (240 * STEPS_PER_FRAME) * 240 * STEPS_PER_FRAME]
    found = {"original": whole, "features": synthesise(analyse(whole, bands), bands)}
    if isinstance(codec, VocoderCodec2):
        found["unquantised"] = unquantised(codec.network, whole)
    return found | {"codes": decode(codec, codec.encode(whole))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", default="models/higgs-small/codec")
    parser.add_argument("--voices", type=Path, default=ROOT.parent / "shared" / "voices")
    parser.add_argument("--held-out", type=Path, default=ROOT / "train" / "work" / "held_out")
    parser.add_argument("--judges", type=Path, default=ROOT / ".judges-venv" / "bin" / "python")
    options = parser.parse_args()
    codec, out = load_codec(options.codec), Path(tempfile.mkdtemp(prefix="ladder-"))
    teachers = [voice for voice in pseudo_speakers(options.held_out, 1000) if voice.name.endswith("@1.0")]
    groups: dict[str, list[Clip]] = {
        "people": [clip for voice in people(options.voices) for clip in voice.clips],
        "teachers": [clip for voice in teachers for clip in voice.clips[:MAX_CLIPS]],
    }
    verifier, texts, likeness = SpeakerVerifier(weights_file()), {}, {}
    for group, clips in groups.items():
        for number, clip in enumerate(clips):
            heard = rungs(codec, clip.samples)
            own = verifier.embedding(heard["original"], SAMPLE_RATE)
            for rung, samples in heard.items():
                name = f"{group}|{rung}|{number}.wav"
                soundfile.write(out / name, samples, SAMPLE_RATE)
                texts[name] = clip.transcript or ""
                likeness[name] = float(verifier.embedding(samples, SAMPLE_RATE) @ own)
    verdicts = judge(options.judges, out, pocketsphinx=False)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for group, rung in sorted({tuple(name.split("|")[:2]) for name in texts}):
        names = [name for name in texts if name.startswith(f"{group}|{rung}|")]
        wrong = [wrong_words(spelled(texts[n]), spelled(verdicts[n]["whisper"])) for n in names]
        said = sum(len(spelled(texts[n])) for n in names)
        result.setdefault(group, {})[rung] = {
            "wer": round(sum(wrong) / max(1, said), 3),
            "ovrl": round(float(np.mean([verdicts[n]["ovrl"] for n in names])), 3),
            "similarity": round(float(np.mean([likeness[n] for n in names])), 3),
        }
    print(json.dumps({"codec": options.codec, **result}))


if __name__ == "__main__":
    main()
