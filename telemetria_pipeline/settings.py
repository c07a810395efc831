"""Every environment variable of the project: typed, with its default and its meaning.

Read with `Settings.from_env()` when a value is needed, never at import of an asset, so that the
definitions load with an empty environment. The standard `AWS_…` names are read by the storage itself.
"""

import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import find_dotenv, load_dotenv
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator


class SettingsError(ValueError):
    """A variable holds a value that cannot be used; the message names it and says what to write."""


class MissingSetting(SettingsError):
    """A variable that this piece of work needs is not set."""


class Settings(BaseModel):
    """The project's settings; each field's alias is the environment variable that sets it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    lake: str = Field(
        "file:./data/lake",
        alias="TELEMETRIA_LAKE",
        description="Where tables and raw pages are kept: `file:<folder>` or `s3://<bucket>/<prefix>`.",
    )
    inbox: str = Field(
        "file:./data/inbox",
        alias="TELEMETRIA_INBOX",
        description="Where boletins are dropped: `file:<folder>` or `s3://<bucket>/<prefix>`.",
    )
    api_url: str | None = Field(
        None,
        alias="TELEMETRIA_API_URL",
        description="Address of the carrier's telemetry API; the profile's base path is appended to it.",
    )
    api_token: SecretStr | None = Field(
        None, alias="TELEMETRIA_API_TOKEN", description="The carrier's token. Never logged, never stored."
    )
    api_profile: str = Field(
        "simulator",
        alias="TELEMETRIA_API_PROFILE",
        description="Carrier profile: `simulator`, `traccar`, `samsara`, `motive`, or a YAML file's path.",
    )
    timezone: ZoneInfo = Field(
        ZoneInfo("America/Sao_Paulo"),
        alias="TELEMETRIA_TIMEZONE",
        description="The contract's zone: hours, days and cycles are cut in it.",
    )
    start: date = Field(
        date(2025, 1, 1),
        alias="TELEMETRIA_START",
        description="First day (YYYY-MM-DD) that has hourly partitions.",
    )
    hour_retries: int = Field(
        2,
        ge=0,
        alias="TELEMETRIA_HOUR_RETRIES",
        description="How often Dagster tries a run's failed hours again after a transient failure.",
    )
    hour_retry_wait_s: float = Field(
        60,
        ge=0,
        alias="TELEMETRIA_HOUR_RETRY_WAIT_S",
        description="Seconds before such a retry.",
    )
    recapture_hours: int = Field(
        48,
        ge=0,
        alias="TELEMETRIA_RECAPTURE_HOURS",
        description="How far back open and missing hours are captured again by schedule.",
    )

    boletim_partial: bool = Field(
        False,
        alias="TELEMETRIA_BOLETIM_PARTIAL",
        description="`true` takes the good rows of a boletim with errors and returns the bad ones; otherwise "
        "it is rejected whole.",
    )
    unknown_plate: Literal["aviso", "erro"] = Field(
        "aviso",
        alias="TELEMETRIA_UNKNOWN_PLATE",
        description="What a plate that is not in `vehicles` is to a boletim: `aviso` or `erro`.",
    )
    inbox_settle_s: float = Field(
        5,
        ge=0,
        alias="TELEMETRIA_INBOX_SETTLE_S",
        description="Seconds that a file of the inbox rests before it is taken: it may still be written.",
    )
    inbox_files_per_tick: int = Field(
        20,
        ge=1,
        alias="TELEMETRIA_INBOX_FILES_PER_TICK",
        description="How many files of the inbox are on their way at once; the others wait their turn.",
    )

    match_minutes: int = Field(
        30,
        ge=0,
        le=120,
        alias="TELEMETRIA_MATCH_MINUTES",
        description="How far apart, in minutes, a declared and a measured trip may be and still be one.",
    )
    km_share: Decimal = Field(
        Decimal("0.10"),
        ge=0,
        le=1,
        decimal_places=4,
        alias="TELEMETRIA_KM_TOLERANCE",
        description="Share by which declared km may differ from measured km; only above it they diverge.",
    )
    km_minimum: Decimal = Field(
        Decimal("1"),
        ge=0,
        decimal_places=3,
        alias="TELEMETRIA_KM_MINIMUM",
        description="Kilometres that the difference must exceed as well.",
    )
    min_coverage: Decimal = Field(
        Decimal("1"),
        ge=0,
        le=1,
        decimal_places=4,
        alias="TELEMETRIA_MIN_COVERAGE",
        description="Share of a declared trip's window that captured hours must cover; below it nobody is "
        "accused.",
    )
    audit_days: int = Field(
        62,
        ge=1,
        alias="TELEMETRIA_AUDIT_DAYS",
        description="How many days back a late file or hour has its day audited again.",
    )
    audit_rest_s: float = Field(
        60,
        ge=0,
        alias="TELEMETRIA_AUDIT_REST_S",
        description="Seconds that a changed day rests before it is audited: a burst of changes is one run.",
    )
    pseudonym_key: SecretStr | None = Field(
        None,
        alias="TELEMETRIA_PSEUDONYM_KEY",
        description="Secret that drivers' pseudonyms are made with; without it names can be guessed from "
        "them.",
    )

    @field_validator("timezone", mode="before")
    @classmethod
    def _zone(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                return ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(
                    f"{value!r} is not an IANA time zone; write one like America/Sao_Paulo"
                ) from None
        return value

    @field_validator("lake", "inbox")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value.startswith(("file:", "s3://")):
            raise ValueError("write file:<folder> or s3://<bucket>/<prefix>")
        return value

    @field_validator("api_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("write an address that starts with https:// (or http:// on this machine)")
        return value

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the process's environment, after the nearest `.env` (which never overrides it).

        An empty value counts as not set. Raises `SettingsError` naming every variable that is wrong.
        """
        if environ is None:
            load_dotenv(find_dotenv(usecwd=True))
            environ = os.environ
        names = {field.alias for field in cls.model_fields.values()}
        try:
            return cls.model_validate({k: v for k, v in environ.items() if k in names and v.strip()})
        except ValidationError as error:
            raise SettingsError(
                "; ".join(f"{e['loc'][0]}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
            ) from None

    def api(self) -> tuple[str, str]:
        """Address and token of the carrier's API; raises `MissingSetting` naming what is not set."""
        token = self.api_token.get_secret_value() if self.api_token else None
        missing = [
            name
            for name, value in (("TELEMETRIA_API_URL", self.api_url), ("TELEMETRIA_API_TOKEN", token))
            if not value
        ]
        if missing:
            raise MissingSetting(
                f"set {' and '.join(missing)} (in the environment or in .env) to reach the carrier's API"
            )
        return str(self.api_url), str(token)
