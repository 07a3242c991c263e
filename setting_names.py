"""What settings are called in the environment and on the command line, and were called before."""

import logging
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from difflib import get_close_matches

from errors import StartError

PREFIX = "HIGGS_"
# What Kubernetes sets in every container beside a service named higgs, or higgs-something.
SERVICE_VARIABLE = re.compile(
    r"HIGGS(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)
# Settings under their former names, which keep working.
RENAMED = {"most_takes": "max_attempts", "columns_per_byte": "max_frames_per_byte"}
log = logging.getLogger(__name__)


def variable(name: str) -> str:
    """The environment variable of a setting: max_upload_bytes → HIGGS_MAX_UPLOAD_BYTES."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The flag of a setting: max_upload_bytes → --max-upload-bytes."""
    return "--" + name.replace("_", "-")


def rename_variables(environment: MutableMapping[str, str]) -> None:
    """Move a variable of a former name to its present one, which wins where both are set."""
    for old, new in RENAMED.items():
        if variable(old) in environment:
            log.warning("%s is deprecated: use %s", variable(old), variable(new))
            environment.setdefault(variable(new), environment.pop(variable(old)))


def rename_flags(arguments: Sequence[str]) -> list[str]:
    """The arguments with present names for the flags of former ones."""
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
    """Raise StartError for a HIGGS_* variable that is none of these settings'."""
    valid = [variable(name) for name in settings]
    for name in environment:
        if SERVICE_VARIABLE.fullmatch(name):
            continue
        if name.upper().startswith(PREFIX) and name.upper() not in valid:
            near = get_close_matches(name.upper(), valid, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise StartError(f"Unknown setting {name}.{hint} Valid variables: {', '.join(valid)}")
