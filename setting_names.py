"""Names of settings as environment variables and flags, and their former names."""

import logging
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from difflib import get_close_matches

from errors import StartError

PREFIX = "HIGGS_"
# Set by Kubernetes in every container if there is a service named higgs, or higgs-something.
SERVICE_VARIABLE = re.compile(
    r"HIGGS(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)
# Former names of settings, still accepted.
RENAMED = {"most_takes": "max_attempts", "columns_per_byte": "max_frames_per_byte"}
log = logging.getLogger(__name__)


def variable(name: str) -> str:
    """Return the environment variable of a setting: max_upload_bytes → HIGGS_MAX_UPLOAD_BYTES."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """Return the flag of a setting: max_upload_bytes → --max-upload-bytes."""
    return "--" + name.replace("_", "-")


def rename_variables(environment: MutableMapping[str, str]) -> None:
    """Rename variables with former names; a variable with the current name wins."""
    for old, new in RENAMED.items():
        if variable(old) in environment:
            log.warning("%s is deprecated: use %s", variable(old), variable(new))
            environment.setdefault(variable(new), environment.pop(variable(old)))


def rename_flags(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with former flags renamed."""
    present = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        for old, new in RENAMED.items():
            if name == flag(old):
                log.warning("%s is deprecated: use %s", flag(old), flag(new))
                name = flag(new)
        present.append(name + equals + value)
    return present


def refuse_unknown_variables(environment: Mapping[str, str], settings: Iterable[str]) -> None:
    """Raise StartError for a HIGGS_* variable that isn't a setting."""
    valid = [variable(name) for name in settings]
    for name in environment:
        if SERVICE_VARIABLE.fullmatch(name):
            continue
        if name.upper().startswith(PREFIX) and name.upper() not in valid:
            near = get_close_matches(name.upper(), valid, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise StartError(f"Unknown setting {name}.{hint} Valid variables: {', '.join(valid)}")
