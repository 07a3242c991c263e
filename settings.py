"""Every setting of the server, as HIGGS_* variables and as flags: the one reader of the environment."""

import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from limits import parse_many
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from errors import StartError

PREFIX = "HIGGS_"
ORIGIN = re.compile(r"https?://[^/\s*]+")


class Settings(BaseSettings):
    """The settings, frozen; a flag outranks a variable, a variable outranks the default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_exit_on_error=False,
        cli_prog_name="app.py",
    )

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 opens it to the network."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    model: str = Field(
        default="auto",
        min_length=1,
        description="auto (the published 3B on CUDA, else the bundled one), bundled, a folder, or a hub id.",
    )
    codec: str | None = Field(
        default=None,
        description="Folder or hub id of the codec; unset: the one in the model folder, else the published.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto takes CUDA where it is there."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Numbers of the language model; auto: bfloat16 on CUDA, float32 on a CPU."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads; unset: PyTorch's own choice.")
    slots: int | None = Field(
        default=None,
        ge=1,
        description="Requests that speak at once; unset: 8 on a CPU, what fits into CUDA's memory, up to 64.",
    )
    queue_limit: int = Field(
        default=32, ge=1, description="Requests that may wait; one more is answered 429 with Retry-After."
    )
    max_positions: int = Field(
        default=8192,
        ge=256,
        description="Positions of prompt and speech together; sets the size of the KV cache.",
    )
    reference_cache: int = Field(default=64, ge=1, description="Encoded reference recordings kept in memory.")
    max_upload_bytes: int = Field(
        default=25 * 2**20,
        ge=1,
        description="Largest reference recording, in bytes before base64 (413 beyond).",
    )
    max_text_characters: int = Field(
        default=4096, ge=1, description="Longest text of one request (413 beyond)."
    )
    reading: Literal["auto", "verbatim", "plain", "english"] = Field(
        default="auto",
        description="plain reads no Markdown and emoji, english also says numbers, links and abbreviations in"
        " words; auto: english for the bundled model, else plain.",
    )
    unknown_tags: Literal["refuse", "read"] = Field(
        default="refuse",
        description="refuse inline tags that the model doesn't know, or read the words in them.",
    )
    max_frames_per_byte: float = Field(
        default=4.0,
        gt=0,
        description="Stops a runaway: 8 s plus this many columns of 40 ms per UTF-8 byte of text at most.",
    )
    recogniser: str = Field(
        default="auto",
        min_length=1,
        description="pocketsphinx (English), Whisper's folder or hub id, or auto: whisper-small on CUDA.",
    )
    transcribe_references: bool = Field(
        default=False, description="Recognise the words of recordings that are cloned without them."
    )
    verify: bool = Field(
        default=False, description="Listen to speech before it goes out, and make bad takes again."
    )
    max_attempts: int = Field(default=3, ge=1, description="Takes made of one text at most, to verify it.")
    verify_consents: bool = Field(
        default=False, description="Make no voice without a consent whose recording is of the same speaker."
    )
    data_dir: Path = Field(default=Path("data"), description="Folder where voices are kept.")
    database_url: str | None = Field(
        default=None,
        description="sqlite, postgresql, mysql or mariadb URL for the voices; unset: SQLite in the folder.",
    )
    max_voice_bytes: int = Field(
        default=50 * 2**20, ge=1, description="Largest upload of a voice to keep, in bytes (413 beyond)."
    )
    api_keys: SecretStr | None = Field(
        default=None,
        description="Keys, parted by commas, of which requests must bring one; unset: none is needed.",
    )
    rate_limit: str | None = Field(
        default=None,
        description="Requests of one key, or else one address: 60/minute, or several such; unset: no limit.",
    )
    cors_origins: str | None = Field(
        default=None,
        description="Web pages elsewhere that may ask: https://example.org, several, or *; unset: none.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines of text, or a JSON object a line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level logged."
    )

    @field_validator("rate_limit")
    @classmethod
    def _is_a_rate(cls, value: str | None) -> str | None:
        if value is not None:
            parse_many(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str | None) -> str | None:
        for origin in listed(value):
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin such as https://example.org:8443")
        return value


def load_settings(arguments: Sequence[str] = ()) -> Settings:
    """Read the settings from flags and HIGGS_* variables.

    Raises StartError for an unknown name (listing the valid ones) or a bad value. `--help` prints and exits.
    """
    _refuse_unknown_variables(os.environ)
    try:
        return CliApp.run(Settings, cli_args=list(arguments), cli_exit_on_error=False)
    except SettingsError as error:
        valid = ", ".join(flag(name) for name in Settings.model_fields)
        raise StartError(f"{error}. Valid flags: {valid}") from None
    except ValidationError as error:
        raise StartError(_bad_values(error)) from None


def database_url(settings: Settings) -> str:
    """Where voices are kept; the data folder is made if it isn't there. StartError if it can't be."""
    if settings.database_url is not None:
        return settings.database_url
    folder = settings.data_dir.expanduser().resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"HIGGS_DATA_DIR {folder} can't be made: {error.strerror}; name another.") from error
    return f"sqlite:///{folder / 'voices.db'}"


def listed(value: str | None) -> list[str]:
    """What stands in a setting of several, parted by commas."""
    return [each.strip() for each in (value or "").split(",") if each.strip()]


def variable(name: str) -> str:
    """The environment variable of a setting: max_upload_bytes → HIGGS_MAX_UPLOAD_BYTES."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The flag of a setting: max_upload_bytes → --max-upload-bytes."""
    return "--" + name.replace("_", "-")


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    valid = [variable(name) for name in Settings.model_fields]
    for name in environment:
        if name.upper().startswith(PREFIX) and name.upper() not in valid:
            near = get_close_matches(name.upper(), valid, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise StartError(f"Unknown setting {name}.{hint} Valid variables: {', '.join(valid)}")


def _bad_values(error: ValidationError) -> str:
    lines = []
    for issue in error.errors():
        name = str(issue["loc"][0])
        lines.append(f"{variable(name)} (or {flag(name)}): {issue['msg']}, got {issue['input']!r}")
    return "Bad setting. " + "; ".join(lines)
