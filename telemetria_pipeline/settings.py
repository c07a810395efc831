"""Every setting of the project: typed, with its default and its meaning.

One door: `Settings.load()` reads the environment when a value is needed, never at import of an asset. A
keyword given to it goes before the environment; one that is no setting is refused. The standard `AWS_…` names
are read by the storage itself.
"""

from datetime import date, time
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import find_dotenv, load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from telemetria_pipeline.business_calendar import Calendar
from telemetria_pipeline.errors import PipelineError

PREFIX = "TELEMETRIA_"


class SettingsError(PipelineError):
    """A setting holds a value that cannot be used; the message names it and says what to write."""


class Settings(BaseSettings):
    """The project's settings; each is set by the variable that `variable` names."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    lake: str = Field(
        "file:./data/lake",
        description="Where tables and raw pages are kept: `file:<folder>` or `s3://<bucket>/<prefix>`.",
    )
    inbox: str = Field(
        "file:./data/inbox",
        description="Where boletins are dropped: `file:<folder>` or `s3://<bucket>/<prefix>`.",
    )
    sources: str = Field(
        "sources.yaml",
        description="The file that lists the telemetry APIs; without it `TELEMETRIA_API_…` describe a single "
        "one, called `main`.",
    )
    api_url: str | None = Field(
        None,
        description="Address of the carrier's telemetry API; the profile's base path is appended to it.",
    )
    api_token: SecretStr | None = Field(None, description="The carrier's token. Never logged, never stored.")
    api_profile: str = Field(
        "simulator",
        description="Carrier profile: a shipped profile's name, or a YAML file's path.",
    )
    timezone: ZoneInfo = Field(
        ZoneInfo("America/Sao_Paulo"),
        description="The contract's zone: hours, days and cycles are cut in it.",
    )
    start: date = Field(
        date(2025, 1, 1),
        description="First day (YYYY-MM-DD) that has hourly partitions.",
    )
    hour_retries: int = Field(
        2,
        ge=0,
        description="How often Dagster tries a run's failed hours again after a transient failure.",
    )
    hour_retry_wait_s: float = Field(
        60,
        ge=0,
        description="Seconds before such a retry.",
    )
    recapture_days: int = Field(
        62,
        ge=1,
        description="How far back hours that are open or missing are asked for again.",
    )
    amendment_days: str = Field(
        "1 3 10",
        pattern=r"^\d+(\s+\d+)*$",
        description="At which ages, in days, a day is captured again: carriers amend trips. A night in which "
        "that failed, or nothing ran, is made up for. `0`: at none.",
    )

    boletim_partial: bool = Field(
        False,
        description="`true` takes the good rows of a boletim with errors and returns the bad ones; otherwise "
        "it is rejected whole.",
    )
    unknown_plate: Literal["aviso", "erro"] = Field(
        "aviso",
        description="What a plate that is not in `vehicles` is to a boletim: `aviso` or `erro`.",
    )
    inbox_settle_s: float = Field(
        5,
        ge=0,
        description="Seconds that a file of the inbox rests before it is taken: it may still be written.",
    )
    inbox_files_per_tick: int = Field(
        200,
        ge=1,
        description="How many files of the inbox are on their way at once, up to a hundred in a run; the "
        "others wait their turn.",
    )

    match_minutes: int = Field(
        30,
        ge=0,
        le=120,
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
        description="Kilometres that the difference must exceed as well.",
    )
    min_coverage: Decimal = Field(
        Decimal("1"),
        ge=0,
        le=1,
        decimal_places=4,
        description="Share of a declared trip's window that captured hours must cover; below it nobody is "
        "accused.",
    )
    audit_days: int = Field(
        62,
        ge=1,
        description="How many days back a late file or hour has its day audited again.",
    )
    audit_rest_s: float = Field(
        60,
        ge=0,
        description="Seconds that a changed day rests before it is audited: a burst of changes is one run.",
    )
    pseudonym_key: SecretStr | None = Field(
        None,
        description="Secret that drivers' pseudonyms are made with; without it the lake keeps one of its "
        "own, beside the names.",
    )
    seal_key: SecretStr | None = Field(
        None,
        description="Secret that closed cycles are sealed with; without it whoever can write to the lake can "
        "forge a seal.",
    )

    alerts: SecretStr | None = Field(
        None,
        description="Where alerts go, as Apprise addresses with spaces or line breaks between them: "
        "`slack://…`, `mailto://…`, `json://…`; without it they are only logged.",
    )
    alerts_mail: SecretStr | None = Field(
        None,
        description="The mail account that senders of boletins are answered from, as an Apprise address "
        "without recipients: `mailtos://user:password@smtp.example`.",
    )
    senders: str = Field(
        "depots.yaml",
        description="The file that says who sends from a folder of the inbox: an e-mail address a folder.",
    )
    outage_hours: int = Field(
        3,
        ge=1,
        le=48,
        description="How many hours in a row a source gives no answer for before it counts as down.",
    )
    report_due: time = Field(
        time(7, 30),
        description="When yesterday's report has to be there, by the contract's clock.",
    )
    keep_runs_days: int = Field(
        90,
        ge=7,
        description="Days after which Dagster's runs and their logs are deleted; what is materialised stays "
        "so.",
    )
    broker_url: SecretStr | None = Field(
        None,
        description="Production on several machines: the broker between Dagster and its workers, "
        "`amqp://…` or `redis://…`.",
    )
    worker_queue: str = Field(
        "telemetria",
        description="The queue that runs wait in for a worker, unless their tag `dagster-celery/queue` names "
        "another.",
    )
    worker_silence_s: float = Field(
        45,
        ge=1,
        description="Seconds after which a run whose worker is not heard counts as lost, and is tried again.",
    )

    @model_validator(mode="before")
    @classmethod
    def _blank_is_not_set(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: v for name, v in given.items() if not (isinstance(v, str) and not v.strip())}

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
        if value is not None and "@" in value:
            raise ValueError("write https://host[:port][/path] and no more: a secret goes to the token")
        return value

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the process's environment, after the nearest `.env` (which never overrides it).

        An empty value counts as not set. Raises `SettingsError` naming every setting that is wrong.
        """
        load_dotenv(find_dotenv(usecwd=True))
        try:
            return cls(**given)
        except ValidationError as error:
            raise SettingsError("; ".join(_problem(e, given) for e in error.errors())) from None

    @classmethod
    def variable(cls, name: str) -> str:
        """The environment variable that sets the field `name`."""
        return cls.model_fields[name].alias or f"{PREFIX}{name}".upper()

    @cached_property
    def calendar(self) -> Calendar:
        """Hours, days and cycles in the contract's zone."""
        return Calendar(self.timezone, self.start)

    @classmethod
    def secret_names(cls) -> set[str]:
        """The settings that hold secrets."""
        return {name for name, field in cls.model_fields.items() if "SecretStr" in str(field.annotation)}

    @property
    def secrets(self) -> list[str]:
        """The secrets that are set."""
        held = [getattr(self, name) for name in sorted(self.secret_names())]
        return [secret.get_secret_value() for secret in held if secret]

    @property
    def alert_addresses(self) -> list[str]:
        """The addresses of the alert channels; none where none is set."""
        return self.alerts.get_secret_value().split() if self.alerts else []

    @property
    def mail_account(self) -> str:
        """The mail account that senders are answered from; empty where none is set."""
        return self.alerts_mail.get_secret_value().strip() if self.alerts_mail else ""

    @property
    def amendment_ages(self) -> list[int]:
        """The ages, in days, at which a day is captured once more."""
        return [age for age in map(int, self.amendment_days.split()) if age]

    @property
    def pseudonyms(self) -> str:
        """The secret that drivers' pseudonyms are made with; empty where the lake has its own."""
        return self.pseudonym_key.get_secret_value() if self.pseudonym_key else ""

    @property
    def seal_secret(self) -> str:
        """The secret that closed cycles are sealed with; empty where none is set."""
        return self.seal_key.get_secret_value() if self.seal_key else ""


def _problem(error: Any, given: dict[str, Any]) -> str:
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return f"{name}: there is no such setting; the settings are {', '.join(Settings.model_fields)}"
    if name in Settings.model_fields and name not in given:
        name = Settings.variable(name)
    return f"{name}: {error['msg'].removeprefix('Value error, ')}"
