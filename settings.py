"""Every setting of the server, as HIGGS_* variables and flags. Only this module reads the environment."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from errors import StartError
from setting_names import PREFIX, flag, refuse_unknown_variables, rename_flags, rename_variables, variable
from setting_values import CHECKS, LISTS, check_list, seconds_in

SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+")


class Settings(BaseSettings):
    """The settings, frozen. Flags override variables, variables override defaults."""

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

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    model: str = Field(
        default="auto",
        min_length=1,
        description="auto (the published 3B on CUDA, else the bundled one), bundled, a folder, or a hub id.",
    )
    codec: str | None = Field(
        default=None,
        description="Folder or hub id of the codec. Default: the model folder's own, else the published one.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Device of the model: auto (CUDA if there is a GPU), cpu, cuda, or one GPU: cuda:1.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Weight dtype; auto: bfloat16 on CUDA, float32 on a CPU.",
    )
    weights: Literal["bf16", "int8", "fp8"] = Field(
        default="bf16",
        description="Format of the matrices: bf16 (HIGGS_DTYPE), or quantised: int8, fp8 (CUDA only).",
    )
    cuda_graphs: Literal["all", "model", "none"] = Field(
        default="model",
        description="What a GPU captures as CUDA graphs at start: model; all: the codec, too,"
        " untested beside the model's; or none.",
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads. Default: PyTorch's.")
    slots: int | None = Field(
        default=None,
        ge=1,
        description="Maximum concurrent requests. Default: 8 on a CPU; on CUDA as many as fit, up to 64.",
    )
    queue_limit: int = Field(
        default=32, ge=1, description="Maximum queue length; further requests get 429 with Retry-After."
    )
    max_positions: int = Field(
        default=8192,
        ge=256,
        description="Maximum context length, prompt and speech together; sizes the KV cache. The default is"
        " reduced if a GPU's memory is too small.",
    )
    reference_cache: int = Field(default=64, ge=1, description="Maximum encoded references in the cache.")
    max_upload_bytes: int = Field(
        default=25 * 2**20,
        ge=1,
        description="Maximum size of a reference recording, in bytes before base64 (413 beyond).",
    )
    max_text_characters: int = Field(
        default=4096, ge=1, description="Maximum characters of text per request (413 beyond)."
    )
    reading: Literal["auto", "verbatim", "plain", "english"] = Field(
        default="auto",
        description="Text normalisation. plain: strip Markdown and emoji; english: also spell out numbers, "
        "links and abbreviations; auto: english for the bundled model, else plain.",
    )
    pronunciations: Path | None = Field(
        default=None, description='JSON file of how words are said, {"Nguyen": "win"}. Default: none.'
    )
    unknown_tags: Literal["refuse", "read"] = Field(
        default="refuse",
        description="Inline tags that the model doesn't support: refuse the request, or read them aloud.",
    )
    max_frames_per_byte: float = Field(
        default=4.0,
        gt=0,
        description="Limit on runaway speech: 8 s (bundled model: 2 s) plus this many frames of 40 ms per"
        " UTF-8 byte, for each part of a text.",
    )
    recogniser: str = Field(
        default="auto",
        min_length=1,
        description="Speech recogniser: pocketsphinx (English), a Whisper's folder or hub id, or auto: "
        "whisper-small on CUDA, else pocketsphinx.",
    )
    transcribe_references: bool = Field(
        default=False, description="Transcribe reference recordings that come without a transcript."
    )
    verify: bool = Field(
        default=False,
        description="Check speech with the recogniser before sending it; repeat bad attempts.",
    )
    max_attempts: int = Field(default=3, ge=1, description="Maximum attempts per text when verifying.")
    verify_consents: bool = Field(
        default=False, description="Require a consent recording of the same speaker for each saved voice."
    )
    require_consent: bool = Field(
        default=False,
        description="Refuse recordings sent for cloning (403) without the header x-speaker-consent.",
    )
    watermark: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Inaudible watermark in all speech that is sent; auto: off for now.",
    )
    keep_alive: str = Field(
        default="0",
        description="Unload the model after so long without work: 10m, 1h30m, 90 (seconds); the next request"
        " loads it again. 0 or -1: it stays loaded.",
    )
    data_dir: Path = Field(default=Path("data"), description="Folder where voices are stored.")
    database_url: str | None = Field(
        default=None,
        description="sqlite, postgresql, mysql or mariadb URL of the voice database. Default: SQLite in"
        " data_dir.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="redis, rediss or unix URL of a Redis in which several servers share their counts of"
        " HIGGS_RATE_LIMIT, audio ids and client secrets. Default: each in its own memory.",
    )
    drain_seconds: float = Field(
        default=30.0,
        ge=0,
        description="Seconds that running requests get to finish when the server is asked to stop.",
    )
    max_speech_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Maximum seconds of speech per request, but not per job. Default: 0.2 s per character"
        " allowed.",
    )
    max_voice_bytes: int = Field(
        default=50 * 2**20, ge=1, description="Maximum size of a voice upload, in bytes (413 beyond)."
    )
    api_keys: SecretStr | None = Field(
        default=None,
        description="Comma-separated API keys; each request must send one. Default: no key is needed.",
    )
    allowed_hosts: str | None = Field(
        default=None,
        description="Allowed Host names of a server without API keys, comma-separated, or *:"
        " voice.example.org, *.example.org. IP addresses, names without a dot and .local, .internal and"
        " .home.arpa are always allowed.",
    )
    trusted_proxies: str | None = Field(
        default=None,
        description="IP addresses or networks of proxies whose x-forwarded-for is trusted, comma-separated,"
        " or *.",
    )
    max_voices: int = Field(
        default=1000, ge=1, description="Maximum saved voices per API key, and maximum consents (400 beyond)."
    )
    max_jobs: int = Field(
        default=20, ge=1, description="Maximum speech jobs per API key, finished ones included (400 beyond)."
    )
    max_job_characters: int = Field(
        default=1_000_000, ge=1, description="Maximum characters of text per speech job (413 beyond)."
    )
    voice_aliases: str | None = Field(
        default=None,
        description="Saved voices to use for the names that clients send, in the same letters: alloy=Anna,"
        " nova=voice_0123. Default: none.",
    )
    rate_limit: str | None = Field(
        default=None,
        description="Rate limit per API key or client address, such as 60/minute. Default: no limit.",
    )
    max_sockets: int = Field(default=256, ge=1, description="Maximum open WebSockets; further ones get 429.")
    socket_idle_seconds: float = Field(
        default=300.0, gt=0, description="Seconds of silence after which a WebSocket is closed."
    )
    cors_origins: str | None = Field(
        default=None,
        description="Allowed CORS origins, comma-separated, or *. Default: none.",
    )
    log_format: Literal["text", "json"] = Field(default="text", description="Log lines as text or JSON.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Minimum log level."
    )

    @field_validator("port", mode="before")
    @classmethod
    def _is_no_service(cls, value: Any) -> Any:
        """Ignore HIGGS_PORT=tcp://10.0.0.1:8000, which Kubernetes sets for a service named higgs."""
        service = isinstance(value, str) and SERVICE_ADDRESS.fullmatch(value)
        return cls.model_fields["port"].default if service else value

    @field_validator(*LISTS)
    @classmethod
    def _has_items(cls, value: SecretStr | str | None) -> SecretStr | str | None:
        if value is not None:
            check_list(value.get_secret_value() if isinstance(value, SecretStr) else value)
        return value

    @field_validator(*CHECKS)
    @classmethod
    def _can_be_parsed(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.field_name:
            CHECKS[info.field_name](value)
        return value

    @property
    def keep_alive_seconds(self) -> float:
        """How long the model stays loaded without work; 0 for always."""
        return max(seconds_in(self.keep_alive), 0.0)

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, value: SecretStr | None) -> SecretStr | None:
        scheme = value.get_secret_value().partition("://")[0] if value else "redis"
        if scheme not in ("redis", "rediss", "unix"):
            raise ValueError("a URL such as redis://localhost:6379 is needed")
        return value


def load_settings(arguments: Sequence[str] = ()) -> Settings:
    """Read the settings from flags and HIGGS_* variables; `--help` prints them and exits.

    Raises StartError for an unknown name (listing the valid ones) or an invalid value.
    """
    rename_variables(os.environ)
    refuse_unknown_variables(os.environ, Settings.model_fields)
    try:
        return CliApp.run(Settings, cli_args=rename_flags(arguments), cli_exit_on_error=False)
    except SettingsError as error:
        valid = ", ".join(flag(name) for name in Settings.model_fields)
        raise StartError(f"{error}. Valid flags: {valid}") from None
    except ValidationError as error:
        raise StartError(_bad_values(error)) from None


def database_url(settings: Settings) -> str:
    """Return the URL of the voice database, creating the data folder if needed. Raises StartError."""
    if settings.database_url is not None:
        return settings.database_url
    folder = settings.data_dir.expanduser().resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"Can't create HIGGS_DATA_DIR {folder}: {error.strerror}. Set another.") from error
    return f"sqlite:///{folder / 'voices.db'}"


def _bad_values(error: ValidationError) -> str:
    lines = []
    for issue in error.errors():
        name = str(issue["loc"][0])
        secret = SecretStr in get_args(Settings.model_fields[name].annotation)
        got = "" if secret else f", got {issue['input']!r}"
        lines.append(f"{variable(name)} (or {flag(name)}): {issue['msg']}{got}")
    return "Invalid setting. " + "; ".join(lines)
