"""Parse values of settings that are lists, pairs, rates or durations."""

import re
from collections.abc import Callable
from ipaddress import ip_network

from limits import RateLimitItem, parse_many

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
# Of a web page, or of an app or extension: app://obsidian.md.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*]+")
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


def check_origins(value: str) -> None:
    """Raise ValueError if one is no origin."""
    for origin in listed(value):
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin such as https://example.org:8443")


def check_list(value: str) -> None:
    """Raise ValueError for a list without items, such as the "," of "$KEY_A,$KEY_B" with both unset."""
    if not listed(value):
        raise ValueError("the list has no items; name some, or leave the setting unset")


def check_proxies(value: str) -> None:
    """Raise ValueError for what uvicorn would compare with addresses in vain, such as a proxy's name."""
    for item in [] if value.strip() == "*" else listed(value):
        try:
            ip_network(item)
        except ValueError as error:
            raise ValueError(f"{error}; an IP address, a network or * alone is needed") from None


def rates(value: str) -> list[RateLimitItem]:
    """Parse rate limits, such as 60/minute. Raises ValueError."""
    found = parse_many(value)
    if not all(rate.amount for rate in found):
        raise ValueError(f"{value!r} lets no request through")
    return found


def listed(value: str | None) -> list[str]:
    """Parse a comma-separated list."""
    return [each.strip() for each in (value or "").split(",") if each.strip()]


LISTS = ("api_keys", "allowed_hosts", "cors_origins", "trusted_proxies", "voice_aliases")
# Setting → what raises ValueError for a bad value.
CHECKS: dict[str, Callable[[str], object]] = {
    "keep_alive": seconds_in,
    "rate_limit": rates,
    "trusted_proxies": check_proxies,
    "voice_aliases": pairs,
    "cors_origins": check_origins,
}
