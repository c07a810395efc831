"""A carrier described without code: the profile's keys, read from YAML and checked on load."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jmespath
import jmespath.exceptions
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from telemetria_pipeline.carriers.documents import NotYaml, load_yaml, problem_text
from telemetria_pipeline.carriers.units import UNITS, dimension
from telemetria_pipeline.contracts.base import LONGEST_TRIP_HOURS, TEXT
from telemetria_pipeline.contracts.telemetry import MAPPED_TRIPS
from telemetria_pipeline.errors import PipelineError

SHIPPED = Path(__file__).parent / "profiles"
# What the mapping itself fills: no field of a record may be mapped to these.
_OURS = {"transportadora", "em_andamento", "ilegivel", "pagina", "registro"}
COLUMNS = {c.name: c for c in MAPPED_TRIPS.columns if c.name not in _OURS}


class ProfileError(PipelineError):
    """A profile cannot be found, read or used; the message names file and key."""


def _path(value: str) -> str:
    try:
        jmespath.compile(value)
    except jmespath.exceptions.JMESPathError as error:
        raise ValueError(f"{value!r} is not a JMESPath: {str(error).splitlines()[0]}") from None
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is not an IANA time zone; write one like America/Sao_Paulo") from None
    return value


def _column(value: str) -> str:
    if value not in COLUMNS:
        near = difflib.get_close_matches(value, COLUMNS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "the columns are: " + ", ".join(COLUMNS)
        raise ValueError(f"no column is called {value!r}; {hint}")
    return value


Path_ = Annotated[str, AfterValidator(_path)]
Zone = Annotated[str, AfterValidator(_zone)]
ColumnName = Annotated[str, AfterValidator(_column)]
Scalar = str | int | float | bool


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Auth(_Strict):
    """How the token travels. `X-Api-Key`: `"{token}"`; Basic: `"Basic {basic}"` and a `user:secret` token."""

    header: str = Field(
        default="Authorization", description="Name of the header.", pattern=r"^[A-Za-z0-9-]+$"
    )
    template: str = Field(
        default="Bearer {token}",
        description="Its value: `{token}` as it was issued, `{basic}` the same in base64.",
    )

    @field_validator("template")
    @classmethod
    def _names_the_token(cls, value: str) -> str:
        if "{token}" not in value and "{basic}" not in value:
            raise ValueError("write {token} (or {basic}) where the token goes; never the token itself")
        return value


class Http(_Strict):
    """Timeouts, deadlines and budgets, in seconds and attempts."""

    connect_timeout_s: float = Field(default=10, gt=0, description="Wait for a connection.")
    read_timeout_s: float = Field(default=60, gt=0, description="Wait for the next bytes.")
    deadline_s: float = Field(default=300, gt=0, description="One request with all its retries and waits.")
    capture_deadline_s: float = Field(default=3600, gt=0, description="All requests of one window.")
    attempts: int = Field(default=5, ge=1, description="Attempts a request, 429 not counted.")
    throttle_attempts: int = Field(default=10, ge=0, description="How many 429 a request survives.")
    backoff_s: float = Field(
        default=0.5, gt=0, description="First wait between attempts; doubles, with jitter."
    )
    backoff_cap_s: float = Field(default=30, gt=0, description="Longest such wait.")
    retry_after_cap_s: float = Field(default=120, gt=0, description="Longest Retry-After that is honoured.")
    max_body_mb: float = Field(default=64, gt=0, description="Largest body, decompressed.")


class Pacing(_Strict):
    """How fast requests may follow each other; every attempt counts."""

    requests_per_second: float | None = Field(
        default=None, gt=0, description="None: as fast as answers come."
    )


class Window(_Strict):
    """Which window is asked so that the trips departing in the hour are all in the answer."""

    anchor: Literal["departure", "arrival", "overlap"] = Field(
        default="overlap", description="What the carrier compares with the window."
    )
    pad_before_min: int = Field(default=0, ge=0, description="Minutes asked before the hour.")
    pad_after_min: int | None = Field(
        default=None,
        ge=0,
        description="Minutes asked after the hour; unless said 0, for `arrival` 720 (the longest trip).",
    )
    settle_min: int = Field(
        default=60 * LONGEST_TRIP_HOURS,
        ge=0,
        description="Minutes after the hour until each trip that departs in it is listed, whole: the longest "
        "trip, the latest upload. The hour is then captured once more.",
    )
    format: Literal["iso_utc", "iso_offset", "iso_local", "epoch_s", "epoch_ms", "date"] = Field(
        default="iso_utc", description="How `{start}` and `{end}` are written; `date` counts the last day in."
    )
    zone: Zone = Field(
        default="UTC", description="Zone of `iso_offset`, `iso_local` (no offset written) and `date`."
    )

    @property
    def after_min(self) -> int:
        """Minutes asked after the hour, the anchor's default applied."""
        if self.pad_after_min is not None:
            return self.pad_after_min
        return 60 * LONGEST_TRIP_HOURS if self.anchor == "arrival" else 0


class NoPaging(_Strict):
    """Everything comes in one answer."""

    style: Literal["none"] = "none"


class _Sized(_Strict):
    size_param: str | None = Field(default=None, description="Parameter of the page's size.")
    size: int | None = Field(default=None, ge=1, description="Records asked a page.")
    has_more: Path_ | None = Field(default=None, description="Where the body says whether more follows.")
    total: Path_ | None = Field(
        default=None, description="Where the body gives the number of records in all."
    )

    @model_validator(mode="after")
    def _size_with_its_name(self) -> "_Sized":
        if (self.size is None) != (self.size_param is None):
            raise ValueError("size and size_param go together")
        return self


class _Counted(_Sized):
    last_page: Literal["empty", "short"] = Field(
        default="empty",
        description="Without has_more and total, what ends the listing: an `empty` page, or one `short` of "
        "the size (only where the carrier never gives less than asked).",
    )

    @model_validator(mode="after")
    def _short_of_something(self) -> "_Counted":
        if self.last_page == "short" and self.size is None:
            raise ValueError("last_page: short needs size and size_param")
        return self


class PageNumber(_Counted):
    """Pages by number."""

    style: Literal["page"]
    page_param: str = Field(default="page", description="Parameter of the page's number.")
    first: int = Field(default=1, ge=0, description="Number of the first page.")


class Offset(_Counted):
    """Pages by number of records to skip."""

    style: Literal["offset"]
    offset_param: str = Field(default="offset", description="Parameter of the records to skip.")


class Cursor(_Sized):
    """Pages by a cursor; keyset paging too, with a cursor such as `data[-1].id`."""

    style: Literal["cursor"]
    cursor_param: str = Field(default="cursor", description="Parameter of the cursor.")
    cursor: Path_ = Field(description="Where the body gives the next; none, null or empty ends the listing.")


class Link(_Sized):
    """Pages by the address of the next one."""

    style: Literal["link"]
    next: Path_ | None = Field(
        default=None, description="Where the body gives it; unless said, the Link header's rel=next."
    )


Paging = Annotated[NoPaging | PageNumber | Offset | Cursor | Link, Field(discriminator="style")]


class Truncation(_Strict):
    """How a listing that the carrier cut gives itself away."""

    when: Path_ | None = Field(default=None, description="True in the body of a cut answer.")
    rows: int | None = Field(
        default=None, ge=1, description="A listing (all its pages) of exactly so many records counts as cut."
    )


class Listing(_Strict):
    """One list of the API: where it is asked, how it is paged, where its records are."""

    path: str = Field(description="Path after the base path; `{vehicle}` where a fan-out's id goes.")
    params: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="Query; texts may hold `{start}`, `{end}` and `{vehicle}`."
    )
    paging: Paging = Field(default=NoPaging(), description="Paging style and its keys.")
    records: Path_ = Field(
        default="@", description="Where the body holds the array of records; `@` is the body."
    )
    unwrap: str | None = Field(default=None, description="Key that wraps each single record.")
    single_object: bool = Field(
        default=False, description="A single result may come as an object, not an array."
    )
    no_records: Literal["error", "empty"] = Field(
        default="error", description="What an empty body, or one without the array (missing or null), means."
    )
    truncation: Truncation = Field(default=Truncation(), description="Signs of a cut listing.")

    @model_validator(mode="after")
    def _known_placeholders(self) -> "Listing":
        unknown = self.placeholders() - {"start", "end", "vehicle"}
        if unknown:
            hint = "the token travels by `auth`" if "token" in unknown else "known: start, end, vehicle"
            raise ValueError(f"unknown placeholder {{{min(unknown)}}}; {hint}")
        return self

    def placeholders(self) -> set[str]:
        """Names in braces in path and parameters."""
        texts = [self.path]
        for value in self.params.values():
            texts += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
        return {name for text in texts for name in re.findall(r"\{(\w+)\}", text)}


class Vehicles(Listing):
    """The list of vehicles of a fan-out: the trips are then asked once a vehicle."""

    id: Path_ = Field(description="Where a vehicle holds the id that goes to `{vehicle}`.")
    stamp: dict[ColumnName, Path_] = Field(
        default_factory=dict,
        description="Text columns <- JMESPath of the vehicle, where the trip's record omits them.",
    )

    @model_validator(mode="after")
    def _text_stamps(self) -> "Vehicles":
        for name in self.stamp:
            if COLUMNS[name].type != TEXT:
                raise ValueError(f"stamp: {name} is not a text column")
        return self


class FieldMap(_Strict):
    """Where a column's value is in a record; a plain text is short for `{path: …}`."""

    path: Path_ | list[Path_] = Field(
        description="JMESPath; of several, the texts found are joined by spaces."
    )
    unit: str | None = Field(
        default=None, description="Unit received; unless said, the column's own (km, km/h, s)."
    )
    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark of numbers that come as text.")

    @property
    def paths(self) -> list[str]:
        """The paths, always a list."""
        return [self.path] if isinstance(self.path, str) else self.path


def _short_field(value: object) -> object:
    return {"path": value} if isinstance(value, str | list) else value


class Times(_Strict):
    """How the records write instants."""

    format: Literal["iso", "iso_utc", "iso_local", "epoch_s", "epoch_ms"] = Field(
        default="iso",
        description="`iso`: an offset or Z is always there; without one `iso_utc` means UTC and `iso_local` "
        "the vehicle's zone.",
    )
    zone: Zone = Field(
        default="America/Sao_Paulo", description="The vehicles' zone, where `fields.fuso` does not give it."
    )


class ErrorRule(_Strict):
    """An error that comes as a 200."""

    when: Path_ = Field(description="True in such a body.")
    message: Path_ | None = Field(default=None, description="Where the body says what is wrong.")
    retry: bool = Field(default=False, description="Whether it passes by itself.")


class Profile(_Strict):
    """A carrier's API and what its records mean."""

    name: str = Field(description="The profile's name.")
    carrier: str = Field(description="Value of the column `transportadora`.", min_length=1)
    base_path: str = Field(default="", description="Appended to the source's address.")
    auth: Auth = Field(default=Auth(), description="How the token travels.")
    headers: dict[str, str] = Field(default_factory=dict, description="Further headers; never a secret.")
    http: Http = Field(default=Http(), description="Timeouts, deadlines and budgets.")
    pacing: Pacing = Field(default=Pacing(), description="How fast requests may follow.")
    window: Window = Field(default=Window(), description="The window asked for an hour.")
    trips: Listing = Field(description="The list of trips.")
    vehicles: Vehicles | None = Field(
        default=None, description="Fan-out: the list of vehicles to ask one by one."
    )
    errors: list[ErrorRule] = Field(default_factory=list, description="Errors inside a 200.")
    fields: dict[ColumnName, Annotated[FieldMap, BeforeValidator(_short_field)]] = Field(
        description="Our column <- where it is in a record."
    )
    times: Times = Field(default=Times(), description="How records write instants.")
    sentinels: dict[ColumnName, list[Scalar]] = Field(
        default_factory=dict, description="Values, as received, that mean `none` in a column."
    )
    running: Path_ | None = Field(
        default=None, description="True in a record still running; unless said, one without an arrival."
    )
    description_pattern: str | None = Field(
        default=None,
        description="Regular expression searched in `descricao`; its named groups fill text columns that the "
        "record does not give.",
    )
    natural_key: list[ColumnName] = Field(
        default=["veiculo_id", "saida_utc"], description="What names a trip when it is issued again."
    )

    @field_validator("fields")
    @classmethod
    def _units_fit(cls, fields: dict[str, FieldMap]) -> dict[str, FieldMap]:
        for name, field in fields.items():
            known = UNITS.get(dimension(name), {})
            if field.unit is not None and field.unit not in known:
                said = ("one of " + ", ".join(known)) if known else "none for this column"
                raise ValueError(f"{name}.unit: {field.unit!r} is not a unit here; write {said}")
        return fields

    @field_validator("description_pattern")
    @classmethod
    def _groups_are_columns(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if not groups:
            raise ValueError("name the groups: (?P<placa_recebida>…)")
        for name in groups:
            if COLUMNS[_column(name)].type != TEXT:
                raise ValueError(f"group {name} is not a text column")
        return pattern

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        stamped = set(self.vehicles.stamp) if self.vehicles else set()
        lacking = {"veiculo_id", "saida_utc", "chegada_utc"} - set(self.fields) - stamped
        if lacking:
            raise ValueError(f"fields must say where {', '.join(sorted(lacking))} are in a record")
        asks = "vehicle" in self.trips.placeholders()
        if asks and self.vehicles is None:
            raise ValueError("trips uses {vehicle}, so `vehicles` must say where the vehicles are listed")
        if self.vehicles is not None and not asks:
            raise ValueError("vehicles is given, so trips.path or trips.params must use {vehicle}")
        if self.vehicles is not None and "vehicle" in self.vehicles.placeholders():
            raise ValueError("vehicles cannot use {vehicle} itself")
        return self

    def listing(self, kind: str) -> Listing:
        """The listing that a page's `kind` (`trips` or `vehicles`) belongs to."""
        if kind == "vehicles" and self.vehicles is not None:
            return self.vehicles
        if kind == "trips":
            return self.trips
        raise ProfileError(f"{self.name}: the profile has no listing of kind {kind!r}")


def shipped_profiles() -> list[str]:
    """Names of the profiles that come with the package."""
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def load_profile(name_or_path: str | Path) -> Profile:
    """A shipped profile by name, or a YAML file by path; raises `ProfileError`."""
    text = str(name_or_path)
    file = SHIPPED / f"{text}.yaml" if text in shipped_profiles() else Path(text)
    try:
        data = load_yaml(file.read_text(encoding="utf-8"))
    except NotYaml as error:
        raise ProfileError(f"{file.name}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            names = ", ".join(shipped_profiles())
            reason = f"no such file, and no shipped profile has that name (there are: {names})"
        else:
            reason = f"cannot be read: {error}"
        raise ProfileError(f"{text}: {reason}") from None
    if not isinstance(data, dict):
        raise ProfileError(f"{file.name}: a profile is a mapping of keys; start from a shipped one")
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        said = [f"{file.name}: {problem_text(e, e['loc'])}" for e in error.errors()]
        raise ProfileError("\n".join(said)) from None
