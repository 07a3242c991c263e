"""The attestation that the speaker of a recording consents to be cloned."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from api.schemas.fields import RequestBody

# As the header x-speaker-consent has it, too.
ATTESTATION = r"^(true|false|cons_[\w-]{1,64})$"


def _in_words(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


class Attested(RequestBody):
    """A body whose recording is cloned."""

    consent: Annotated[
        Annotated[str, Field(pattern=ATTESTATION)] | None,
        BeforeValidator(_in_words, json_schema_input_type=bool | str | None),
    ] = Field(
        default=None,
        description="true: the recording's speaker consents to be cloned; or the id of a consent recording."
        " HIGGS_REQUIRE_CONSENT refuses clones without it; the header x-speaker-consent says the same.",
    )
