"""Parse values of settings that are lists, pairs or durations."""

import re

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_in(value: str) -> float:
    """Parse a duration in Ollama's format, in seconds: 90, 1.5h, 1h30m, 500ms, -1. Raises ValueError."""
    if re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
        return float(value)
    if not re.fullmatch(rf"-?({DURATION.pattern})+", value.strip()):
        raise ValueError(f"{value!r} is no duration such as 10m, 1h30m or 90")
    seconds = sum(float(number) * UNITS[unit] for number, unit in DURATION.findall(value))
    return -seconds if value.strip().startswith("-") else seconds


def pairs(value: str | None) -> dict[str, str]:
    """Parse a comma-separated list of pairs: a=b, c=d. Raises ValueError."""
    found = {}
    for item in listed(value):
        name, sign, meaning = (part.strip() for part in item.partition("="))
        if not (name and sign and meaning):
            raise ValueError(f"{item!r} is not a pair such as alloy=Anna")
        found[name] = meaning
    return found


def listed(value: str | None) -> list[str]:
    """Parse a comma-separated list."""
    return [each.strip() for each in (value or "").split(",") if each.strip()]
