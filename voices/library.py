"""Saved voices: from a recording to a saved voice, and from a saved voice to a reference.

voices = VoiceLibrary(cloner, VoiceStore("sqlite:///voices.db"), SpeakerVerifier(weights_file()))
order = VoiceOrder(owner="", user_id="me", name="Anna", upload=data, sample_text="Hi.")
onboarding = voices.onboard(order)
for steps in onboarding: ...     # whenever a step starts or ends
onboarding.profile, onboarding.sample
"""

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from uuid import uuid4

import numpy as np
import torch

from audio.decode import decode_audio
from audio.delivery import Delivery
from audio.encode import encode_audio
from audio.frames import FRAME_RATE, SAMPLE_RATE
from audio.reference import prepare_reference
from audio.reference_selection import ReferenceSelection, select_reference
from errors import InvalidRequest, StoreUnavailable
from higgs.codecs.base import Codec
from higgs.prompts.v2 import Reference
from speakers.verifier import SpeakerVerifier
from synthesis.references import VoiceReference
from voice_cloning import VoiceCloner
from voices.bundle import Bundle
from voices.onboarding import Onboarding
from voices.recordings import MAX_UPLOAD_SECONDS, place_among, selected_part
from voices.store.profiles import name_taken, packed
from voices.store.samples import check_room
from voices.store.tables import VoiceProfile, VoiceSample
from voices.store.voice_store import VoiceStore
from voices.voice_order import VoiceOrder, new_voice_id, with_free_name

# Samples at 24 kHz → their transcript.
Transcribe = Callable[[np.ndarray], str | None]

UNNOTICED_SECONDS = 0.5  # a reference that is shorter than its recording by less still has all its words
MAX_ONBOARDINGS = 8  # at once; each needs some 200 MB for five minutes of audio


class VoiceLibrary:
    """Saved voices of all owners: the store, the model that speaks with them, and the speaker verifier.

    Methods raise StoreUnavailable while the database is unavailable.
    """

    def __init__(self, cloner: VoiceCloner, store: VoiceStore, verifier: SpeakerVerifier) -> None:
        self.store = store
        self.verifier = verifier
        self._cloner = cloner
        self._codec = codec_identity(cloner.codec)
        self._places = threading.BoundedSemaphore(MAX_ONBOARDINGS)

    def place(self) -> AbstractContextManager[None]:
        """Hold a place among the recordings processed at once. Raises Overloaded if all are taken."""
        return place_among(self._places)

    def find(self, owner: str, name: str) -> tuple[VoiceProfile, VoiceReference] | None:
        """Return the profile and reference of the owner's voice with this id or name; None if there is none.

        Raises:
            InvalidRequest: voice_ambiguous, several voices have this name.
        """
        profile = self.store.profiles.find(owner, name)
        return None if profile is None else (profile, self.reference(profile))

    def aliased(self, owner: str, alias: str) -> tuple[VoiceProfile, VoiceReference] | None:
        """Return the profile and reference of the owner's voice with this alias; None if there is none."""
        profile = self.store.profiles.aliased(owner, alias)
        return None if profile is None else (profile, self.reference(profile))

    def reference(self, profile: VoiceProfile) -> VoiceReference:
        """Return a voice as a reference in the codes of this model's codec.

        If another codec made the stored codes, the recording is encoded again. If the recording is longer
        than this model's maximum, only its first part is used, without the transcript, which covers the
        whole.
        """
        kept, codec = self.store.profiles.codes(profile.owner, profile.id)
        codes = torch.from_numpy(kept)
        if codec != self._codec:
            codes = self._cloner.reference(self.store.profiles.sample(profile.owner, profile.id).flac).codes
            with suppress(StoreUnavailable):  # on a full disk the voice can still speak
                self.store.profiles.set_codes(profile.owner, profile.id, codes.numpy(), self._codec)
        codes = codes[:, : int(self._cloner.max_reference_seconds * FRAME_RATE)]
        seconds = codes.shape[1] / FRAME_RATE
        trimmed = seconds < profile.end_seconds - profile.start_seconds - UNNOTICED_SECONDS
        return VoiceReference(
            codes,
            None if trimmed else profile.transcript,
            profile.source_seconds,
            profile.start_seconds,
            profile.start_seconds + seconds if trimmed else profile.end_seconds,
            trimmed,
            delivery=delivery_of(profile),
            more=tuple(map(self._known, profile.samples)),
            pronunciations=profile.pronunciations or {},
        )

    def _known(self, sample: VoiceSample) -> Reference:
        """Return a further recording of a voice, encoded like the first; see `reference`."""
        codes = torch.from_numpy(self.store.samples.codes(sample))
        if sample.codec != self._codec:
            codes = self._cloner.reference(self.store.samples.recording(sample)).codes
            with suppress(StoreUnavailable):
                self.store.samples.set_codes(sample, codes.numpy(), self._codec)
        return Reference(codes, sample.transcript)

    def add_sample(
        self, owner: str, voice_id: str, upload: bytes, words: str | None, transcribe: Transcribe
    ) -> VoiceProfile:
        """Add the best part of another recording to a voice.

        Args:
            owner: who owns the voice.
            voice_id: id of the voice.
            upload: the recording's bytes.
            words: the transcript; None if unknown.
            transcribe: transcribes samples at 24 kHz, if the transcript is missing or longer than the part.

        Raises:
            NotFound: there is no such voice.
            InvalidAudio: the recording can't be used.
            InvalidRequest: the voice has the maximum of recordings, or no transcript was given or recognised.
            Overloaded: too many voices are being made.
        """
        self.store.profiles.get(owner, voice_id)
        with self.place():
            samples = decode_audio(upload, max_seconds=MAX_UPLOAD_SECONDS)
            chosen = select_reference(samples, max_seconds=self._cloner.max_reference_seconds)
            words = (words if chosen.whole else None) or transcribe(chosen.samples)
            if not words:
                message = "No words were recognised in the recording; send its transcript as ref_text."
                raise InvalidRequest(message, code="missing_required_parameter", param="ref_text")
            return self.store.samples.add(owner, self._sample(voice_id, chosen.samples, words))

    def check(self, upload: bytes) -> ReferenceSelection:
        """Select the part of a recording that a new voice would be made of, with its problems; saves nothing.

        Raises:
            InvalidAudio: no voice can be made of the recording.
            Overloaded: too many voices are being made.
        """
        with self.place():
            samples = decode_audio(upload, max_seconds=MAX_UPLOAD_SECONDS)
            return selected_part(samples, self._cloner, self.verifier)

    def _sample(self, voice_id: str, samples: np.ndarray, words: str) -> VoiceSample:
        flac = encode_audio(samples, "flac").data
        return VoiceSample(
            id=f"sample_{uuid4().hex}",
            voice_id=voice_id,
            created_at=time.time(),
            transcript=words,
            seconds=len(samples) / SAMPLE_RATE,
            codec=self._codec,
            flac=flac,
            codes=packed(self._cloner.reference(flac).codes.numpy()),
        )

    def similarity(self, profile: VoiceProfile, speech: np.ndarray) -> float | None:
        """Return the similarity, 0 to 1, of speech (N,) at 24 kHz to the voice; None without a model."""
        if not self.verifier.installed:
            return None
        return self.verifier.similarity(self.recording(profile), speech, SAMPLE_RATE)

    def recording(self, profile: VoiceProfile) -> np.ndarray:
        """Return the samples (N,) at 24 kHz of the voice's first recording."""
        return decode_audio(self.store.profiles.sample(profile.owner, profile.id).flac)

    def restore(
        self, owner: str, user_id: str, name: str, bundle: Bundle, delivery: Delivery
    ) -> VoiceProfile:
        """Save an exported voice under this name.

        Args:
            owner, user_id: who owns the new voice.
            name: its name.
            bundle: the exported voice.
            delivery: the bundle's delivery, validated.

        Raises:
            InvalidAudio: a recording can't be used as a reference.
            InvalidRequest: voices_full or voice_samples_full.
            Conflict: the name is taken.
        """
        used = prepare_reference(decode_audio(bundle.flac))
        flac = encode_audio(used.samples, "flac").data
        voice_id = new_voice_id()
        more = [(prepare_reference(decode_audio(data)).samples, words) for words, data in bundle.samples]
        profile = VoiceProfile(
            id=voice_id,
            owner=owner,
            user_id=user_id,
            name=name,
            created_at=time.time(),
            transcript=bundle.transcript,
            source_seconds=bundle.source_seconds,
            start_seconds=bundle.start_seconds,
            end_seconds=bundle.end_seconds,
            findings=[],
            **asdict(delivery),
            pronunciations=dict(bundle.pronunciations) or None,
            codec=self._codec,
            flac=flac,
            codes=packed(self._cloner.reference(flac).codes.numpy()),
            samples=[self._sample(voice_id, samples, words) for samples, words in more],
            aliases=[],
        )
        check_room(profile)
        self.store.keep(profile)
        return profile

    def onboard(self, order: VoiceOrder) -> "Onboarding":
        """Create the onboarding of a new voice; iterate over the result to run it.

        Raises:
            Conflict: the name is taken.
            NotFound: there is no such consent.
            InvalidRequest: voices_full, the owner has the maximum of voices.
        """
        self.store.check_room(order.owner)
        if order.numbered:
            order = with_free_name(order, self.store)
        elif self.store.profiles.taken(order.owner, order.user_id, order.name):
            raise name_taken(order.name)
        if order.consent_id is not None:
            self.store.consents.get(order.owner, order.consent_id)
        return Onboarding(self._cloner, self.store, self._codec, order, self._places, self.verifier)


def delivery_of(profile: VoiceProfile) -> Delivery:
    return Delivery(profile.speed, profile.pitch, profile.volume, profile.instructions)


def codec_identity(codec: Codec) -> str:
    """Return a hash that identifies a codec: of its codes for two seconds of a fixed sound."""
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    glide = np.sin(2 * np.pi * (110 * seconds + 60 * seconds**2)) * np.abs(np.sin(2 * np.pi * 3 * seconds))
    codes = codec.encode((0.3 * glide).astype(np.float32))
    return hashlib.sha256(packed(codes.numpy())).hexdigest()
