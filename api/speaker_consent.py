"""HIGGS_REQUIRE_CONSENT: a recording is cloned if the request attests that its speaker consents.

What is attested is logged: by whom, when, and for which recording (its hash); never the recording itself.
"""

import hashlib
import logging
import re

from api.request_context import current_request
from api.schemas.consent import ATTESTATION
from api.state import ServerState
from errors import Forbidden, InvalidRequest, quoted
from voices.store.tables import VoiceProfile

log = logging.getLogger("consents")

HEADER = "x-speaker-consent"
SHOWN_HEX = 16  # of an owner, who is the hash of a key


def attestation(given: str | None, state: ServerState, owner: str) -> str | None:
    """Return what attests the speaker's consent: "true", or the id of a consent recording; None for nothing.

    given: the request's field; without one, the header counts. Raises InvalidRequest for another value of the
    header, NotFound (consent_not_found).
    """
    request = current_request()
    header = request.consent if request is not None else None
    if given is None and header is not None and not re.fullmatch(ATTESTATION, header):
        message = f"The header {HEADER} is {quoted(header)}; send true, or the id of a consent recording."
        raise InvalidRequest(message, code="invalid_value", param=HEADER)
    attested = given if given is not None else header
    if attested in (None, "false"):
        return None
    if attested != "true" and state.voices is not None:
        state.voices.store.consents.get(owner, attested)
    return attested


def check_consent(given: str | None, path: str, state: ServerState, owner: str) -> str | None:
    """As `attestation`; Forbidden (consent_required) where it is missing and HIGGS_REQUIRE_CONSENT wants it.

    path: the field at fault.
    """
    attested = attestation(given, state, owner)
    if attested is None and state.require_consent:
        message = "This server clones a voice only if its speaker consents. If you have the consent, say so:"
        message += f" send the header '{HEADER}: true', or the field consent (true, or the id of a recording"
        message += " made by POST /v1/audio/voice_consents)."
        raise Forbidden(message, code="consent_required", param=path)
    return attested


def check_kept_voice(
    profile: VoiceProfile, path: str, state: ServerState, owner: str, given: str | None = None
) -> None:
    """Check a saved voice: one with a consent recording needs no other. Forbidden as of `check_consent`."""
    if profile.consent_id is None and state.require_consent:
        attested = check_consent(given, path, state, owner)
        assert attested is not None
        note_consent(attested, owner, voice=profile.id)


def note_consent(attested: str | None, owner: str, recording: bytes = b"", voice: str | None = None) -> None:
    """Log an attestation, for a recording or a saved voice."""
    if attested is None:
        return
    about = {"voice": voice} if voice else {"recording_sha256": hashlib.sha256(recording).hexdigest()}
    details = {"owner": owner[:SHOWN_HEX] or "anyone", "consent": attested, **about}
    log.info("the speaker's consent is attested", extra={"details": details})
