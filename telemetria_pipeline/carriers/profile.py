"""A carrier described without code: the profile's keys, read from YAML and checked on load."""

import codecs
import difflib
import re
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jmespath
import jmespath.exceptions
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from telemetria_pipeline.carriers.documents import NotYaml, load_yaml, problem_text
from telemetria_pipeline.carriers.instants import names_a_clock
from telemetria_pipeline.carriers.placeholders import patterns, placeholders
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


def _place(value: str) -> str:
    name = value.removeprefix("header:")
    if name == value:
        return _path(value)
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValueError(f"{name!r} is no name of a header; write one like header:X-Total-Count")
    return value


def _window_format(value: str) -> str:
    return _time_format(value, WINDOW_FORMATS)


def _record_format(value: str) -> str:
    value = _time_format(value, RECORD_FORMATS)
    if "%" in value and not names_a_clock(value):
        raise ValueError(f"{value!r} names a day only, and a trip departs at an hour: add one, as %H:%M:%S")
    return value


def _time_format(value: str, known: tuple[str, ...]) -> str:
    if value not in known and "%" not in value:
        raise ValueError(
            f"{value!r} is no time format; write {', '.join(known)}, or a pattern such as %d/%m/%Y %H:%M:%S"
        )
    return value


def _format_schema(known: tuple[str, ...]) -> dict[str, Any]:
    return {"anyOf": [{"enum": list(known)}, {"type": "string", "pattern": "%"}]}


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


WINDOW_FORMATS = ("iso_utc", "iso_offset", "iso_local", "epoch_s", "epoch_ms", "date")
RECORD_FORMATS = ("iso", "iso_utc", "iso_local", "epoch_s", "epoch_ms", "json_date")
Path_ = Annotated[str, AfterValidator(_path)]
Place = Annotated[str, AfterValidator(_place)]
WindowFormat = Annotated[str, AfterValidator(_window_format), WithJsonSchema(_format_schema(WINDOW_FORMATS))]
RecordFormat = Annotated[str, AfterValidator(_record_format), WithJsonSchema(_format_schema(RECORD_FORMATS))]
Zone = Annotated[str, AfterValidator(_zone)]
ColumnName = Annotated[
    str, AfterValidator(_column), WithJsonSchema({"type": "string", "enum": list(COLUMNS)})
]
# What a request itself fills in; a secret cannot take one of these names.
_WINDOW = {"start", "end", "days_back"}
_VEHICLE = {"vehicle", "vehicles"}
_OF_A_REQUEST = {*_WINDOW, *_VEHICLE, "basic"}


def _secret_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise ValueError(f"{value!r} is no name for a secret; use small letters, digits and _")
    if value in _OF_A_REQUEST:
        raise ValueError(f"{{{value}}} already means something in a request; call the secret otherwise")
    return value


def _encoding(value: str) -> str:
    try:
        codec = codecs.lookup(value)
        "{}".encode(value).decode(value)
    except (LookupError, UnicodeError):
        raise ValueError(f"{value!r} is no encoding; write one like latin-1, cp1252 or utf-8") from None
    return codec.name


def _text_columns(stamp: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    for name in stamp:
        if COLUMNS[name].type != TEXT:
            raise ValueError(f"{name} is not a text column")
    return stamp


def _lookup_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value) or value in ("trips", "vehicles", "login"):
        raise ValueError(f"{value!r} is no name for a look-up; write one like devices or drivers")
    return value


Encoding = Annotated[str, AfterValidator(_encoding)]
SecretName = Annotated[str, AfterValidator(_secret_name)]
LookupName = Annotated[str, AfterValidator(_lookup_name)]
Stamp = Annotated[dict[ColumnName, Path_ | list[Path_]], AfterValidator(_text_columns)]
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
        description="Its value: `{token}` as it was issued (or another secret by its name), `{basic}` the "
        "token in base64.",
    )
    basic: tuple[SecretName, SecretName] | None = Field(
        default=None, description="In place of a template: the two secrets of HTTP Basic, user and password."
    )

    @field_validator("template")
    @classmethod
    def _names_the_token(cls, value: str) -> str:
        if not placeholders(value):
            raise ValueError("write {token} (or {basic}) where the token goes; never the token itself")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> "Auth":
        if self.basic and self.template != Auth.model_fields["template"].default:
            raise ValueError("basic and template exclude each other; keep one")
        return self

    @property
    def needs(self) -> set[str]:
        """The secrets that it sends."""
        if self.basic:
            return set(self.basic)
        return {"token" if name == "basic" else name for name in placeholders(self.template)}


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
    allow_plain: bool = Field(
        default=False,
        description="Whether an `http://` address beyond this machine is asked: whoever is on the way can "
        "read the secrets.",
    )


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
    format: WindowFormat = Field(
        default="iso_utc",
        description="How `{start}` and `{end}` are written: `iso_utc`, `iso_offset`, `iso_local`, `epoch_s`, "
        "`epoch_ms`, `date`, or a pattern such as `%d/%m/%Y %H:%M:%S`; one without a clock, as `date`, "
        "counts the last day in.",
    )
    zone: Zone = Field(
        default="UTC",
        description="Zone of `iso_offset`, `iso_local` (no offset written), `date` and patterns.",
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
    size_param: str | None = Field(
        default=None,
        description="Parameter of the page's size. All of paging's parameters go to the body where there is "
        "one; there a dotted name, as `params.search.after`, is a place within.",
    )
    size: int | None = Field(default=None, ge=1, description="Records asked a page.")
    has_more: Place | None = Field(
        default=None, description="Where the body says whether more follows; `header:Name` for a header."
    )
    total: Place | None = Field(
        default=None,
        description="Where the body gives the number of records in all; `header:Name` for a header.",
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
    """Pages by a cursor; keyset paging too, with a cursor such as `data[-1].id`, and feeds by version."""

    style: Literal["cursor"]
    cursor_param: str = Field(default="cursor", description="Parameter of the cursor.")
    cursor: Place = Field(
        description="Where the body gives the next, or `header:Name`; none, null or empty ends the listing."
    )
    last_page: Literal["empty", "short"] | None = Field(
        default=None,
        description="For a feed that always gives a next version: what ends it too, an `empty` page or one "
        "`short` of the size.",
    )

    @model_validator(mode="after")
    def _short_of_something(self) -> "Cursor":
        if self.last_page == "short" and self.size is None:
            raise ValueError("last_page: short needs size and size_param")
        return self


class Link(_Sized):
    """Pages by the address of the next one."""

    style: Literal["link"]
    next: Place | None = Field(
        default=None,
        description="Where the body gives it, or `header:Name`; unless said, the Link header's rel=next.",
    )


Paging = Annotated[NoPaging | PageNumber | Offset | Cursor | Link, Field(discriminator="style")]


class Truncation(_Strict):
    """How a listing that the carrier cut gives itself away."""

    when: Path_ | None = Field(default=None, description="True in the body of a cut answer.")
    rows: int | None = Field(
        default=None, ge=1, description="A listing (all its pages) of exactly so many records counts as cut."
    )


class _Request(_Strict):
    method: Literal["GET", "POST"] = Field(default="GET", description="GET, or POST.")
    path: str = Field(description="Path after the base path; `{vehicle}` where a fan-out's id goes.")
    params: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Query; texts may hold `{start}`, `{end}`, `{vehicle}` and secrets by their names. An "
        "object is sent as JSON.",
    )
    body: JsonValue = Field(
        default=None,
        description="Body of a POST, sent as JSON; texts may hold the same placeholders, and one that is "
        "nothing but a placeholder becomes a number where the value is one.",
    )
    form: dict[str, JsonValue] | None = Field(
        default=None, description="Body of a POST, sent as a form, in place of `body`."
    )

    @model_validator(mode="after")
    def _one_body_of_a_post(self) -> "_Request":
        if self.body is not None and self.form is not None:
            raise ValueError("body and form exclude each other; keep one")
        if self.method == "GET" and (self.body is not None or self.form is not None):
            raise ValueError("a body goes with `method: POST`")
        return self

    @property
    def sent(self) -> dict[str, JsonValue]:
        """What paging adds its parameters to: the body where there is one, else the query."""
        if isinstance(self.body, dict):
            return self.body
        return self.params if self.form is None else self.form

    def placeholders(self) -> set[str]:
        """Names in braces, wherever they stand."""
        return placeholders([self.path, self.params, self.body, self.form])

    def patterns(self) -> set[tuple[str, str]]:
        """The names that are written by a pattern of their own, as `{start:%H:%M}`."""
        return patterns([self.path, self.params, self.body, self.form])


class Login(_Request):
    """A request whose answer gives a token or a session; asked before the first other one.

    It is asked again when the carrier answers 401 or what `errors` calls `auth`, and before what it gave
    expires. Its answer is never kept.
    """

    path: str = Field(
        description="Path after the base path; a whole https:// address where another server signs in."
    )
    auth: Auth | None = Field(
        default=None, description="How the login's own secrets travel, if in a header (OAuth: `basic`)."
    )
    gives: dict[SecretName, Path_] = Field(
        description="Secrets that the answer gives <- where it holds them (`@` is the answer, also a bare "
        "text); each may then stand in braces. `{}` where the session is a cookie: it goes back by itself.",
    )
    expires_in: Path_ | None = Field(
        default=None, description="Where the answer says for how many seconds they hold."
    )
    lasts_s: float | None = Field(
        default=None, gt=0, description="For how many seconds they hold, where the answer does not say."
    )
    host: Path_ | None = Field(
        default=None,
        description="Where the answer names the host that is to be asked from then on; a text without a dot "
        "means the same one.",
    )
    domain: str | None = Field(
        default=None, description="The domain that such a host must be in; no other gets the session."
    )

    @model_validator(mode="after")
    def _within_a_domain(self) -> "Login":
        if (self.host is None) != (self.domain is None):
            raise ValueError("host and domain go together")
        return self

    @field_validator("path")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        if value.startswith("http:"):
            raise ValueError("secrets go there: write an https:// address")
        return value


class Listing(_Request):
    """One list of the API: where it is asked, how it is paged, where its records are."""

    paging: Paging = Field(default=NoPaging(), description="Paging style and its keys.")
    records: Path_ = Field(
        default="@", description="Where the body holds the array of records; `@` is the body."
    )
    unwrap: str | None = Field(default=None, description="Key that wraps each single record.")
    where: Path_ | None = Field(
        default=None, description="True in the (unwrapped) records that count; the others are left out."
    )
    single_object: bool = Field(
        default=False, description="A single result may come as an object, not an array."
    )
    no_records: Literal["error", "empty"] = Field(
        default="error", description="What an empty body, or one without the array (missing or null), means."
    )
    truncation: Truncation = Field(default=Truncation(), description="Signs of a cut listing.")

    @model_validator(mode="after")
    def _pages_a_body(self) -> "Listing":
        if self.body is not None and not isinstance(self.body, dict) and self.paging.style != "none":
            raise ValueError("paging changes a key of the body, so the body must be an object")
        return self


class Vehicles(Listing):
    """The list of vehicles of a fan-out: the trips are then asked once a vehicle, or once a batch of them."""

    by: ClassVar = "veiculo_id"
    id: Path_ = Field(description="Where a vehicle holds the id that goes to `{vehicle}`.")
    stamp: Stamp = Field(
        default_factory=dict,
        description="Text columns <- JMESPath of the vehicle (of several, the texts joined by spaces), where "
        "the trip's record omits them. In a batch the record's `veiculo_id` says whose it is.",
    )
    batch: int | None = Field(
        default=None,
        ge=1,
        description="Ask for so many vehicles at once: their ids go to `{vehicles}`, with commas between "
        "them, or as an array where it stands alone in a JSON body.",
    )


class Lookup(Listing):
    """A list that says more of a vehicle or a driver; asked once a capture and joined to the trips.

    Its pages are kept beside those of the trips.
    """

    by: ColumnName = Field(description="Text column of the trips that holds an entry's id, as `veiculo_id`.")
    id: Path_ = Field(description="Where an entry holds its id; one without an id joins nothing.")
    stamp: Stamp = Field(
        min_length=1,
        description="Text columns <- JMESPath of the entry (of several, the texts joined by spaces), where "
        "the trip's record omits them.",
    )

    @field_validator("by")
    @classmethod
    def _text_key(cls, value: str) -> str:
        if COLUMNS[value].type != TEXT:
            raise ValueError(f"{value} is not a text column")
        return value


class FieldMap(_Strict):
    """Where a column's value is in a record; a plain text is short for `{path: …}`."""

    path: Path_ | list[Path_] = Field(
        description="JMESPath; of several, the texts found are joined by spaces."
    )
    unit: str | None = Field(
        default=None, description="Unit received; unless said, the column's own (km, km/h, s)."
    )
    factor: float = Field(
        default=1,
        gt=0,
        description="What the number is multiplied by, where an API counts in tenths or hundreds of a unit.",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None,
        description="Decimal mark of numbers that come as text; unless said `.`, and a text that is one "
        "number or another by it, as `1,234`, is not read.",
    )

    @property
    def paths(self) -> list[str]:
        """The paths, always a list."""
        return [self.path] if isinstance(self.path, str) else self.path


def _short_field(value: object) -> object:
    return {"path": value} if isinstance(value, str | list) else value


_Field = Annotated[
    FieldMap, BeforeValidator(_short_field, json_schema_input_type=Path_ | list[Path_] | FieldMap)
]


class Times(_Strict):
    """How the records write instants."""

    format: RecordFormat = Field(
        default="iso",
        description="`iso`: an offset or Z is always there; without one `iso_utc` means UTC and `iso_local` "
        "the vehicle's zone. `epoch_s`, `epoch_ms`; `json_date`: `/Date(1773136800000)/`; or a pattern "
        "such as `%d/%m/%Y %H:%M:%S`, in the vehicle's zone unless it has %z.",
    )
    zone: Zone = Field(
        default="America/Sao_Paulo", description="The vehicles' zone, where `fields.fuso` does not give it."
    )


class ErrorRule(_Strict):
    """What an answer means, by its status, by its body, or by both. The first rule that fits decides."""

    status: int | list[int] | None = Field(
        default=None, description="Status, or several; unless said, any 2xx: an error in a 200."
    )
    when: Path_ | None = Field(default=None, description="True in such a body.")
    message: Path_ | None = Field(default=None, description="Where the body says what is wrong.")
    retry: bool = Field(default=False, description="Short for `means: retry`.")
    means: Literal["auth", "retry", "empty", "skip", "permanent"] | None = Field(
        default=None,
        description="`auth`: the session has ended, log in again; `retry`: it passes by itself; `empty`: "
        "there are no records; `skip`: this vehicle of a fan-out cannot be asked, the others can; "
        "`permanent`: a person must act (unless said).",
    )

    @model_validator(mode="after")
    def _says_when_and_what(self) -> "ErrorRule":
        if self.status is None and self.when is None:
            raise ValueError("say by what the answer is known: status, when, or both")
        if self.retry and self.means not in (None, "retry"):
            raise ValueError(f"retry: true and means: {self.means} contradict each other; keep one")
        return self

    @property
    def outcome(self) -> str:
        """What it means, the defaults applied."""
        return self.means or ("retry" if self.retry else "permanent")

    def fits(self, status: int) -> bool:
        """Whether it speaks of this status."""
        if self.status is None:
            return 200 <= status < 300
        return status in (self.status if isinstance(self.status, list) else [self.status])


class Profile(_Strict):
    """A carrier's API and what its records mean."""

    name: str = Field(description="The profile's name.")
    carrier: str = Field(description="Value of the column `transportadora`.", min_length=1)
    base_path: str = Field(default="", description="Appended to the source's address.")
    secrets: list[SecretName] = Field(
        default=["token"],
        description="The secrets that it needs, by name: `sources.yaml` says which variable holds each. In "
        "braces they may stand in headers, path, params and body.",
    )
    login: Login | None = Field(default=None, description="A request that gives a token or a session.")
    auth: Auth = Field(
        default=Auth(),
        description="How the token travels; unless said, not at all where there is none or where the profile "
        "writes `{token}` elsewhere.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers; a secret only in braces, by its name."
    )
    encoding: Encoding = Field(
        default="utf-8", description="Of the bodies, as `latin-1`; a byte order mark goes before it."
    )
    http: Http = Field(default=Http(), description="Timeouts, deadlines and budgets.")
    pacing: Pacing = Field(default=Pacing(), description="How fast requests may follow.")
    window: Window = Field(default=Window(), description="The window asked for an hour.")
    trips: Listing = Field(description="The list of trips.")
    vehicles: Vehicles | None = Field(
        default=None, description="Fan-out: the list of vehicles to ask one by one."
    )
    lookups: dict[LookupName, Lookup] = Field(
        default_factory=dict, description="Lists that say more of vehicles and drivers, joined by their ids."
    )
    errors: list[ErrorRule] = Field(
        default_factory=list, description="What answers mean that are not what they look like."
    )
    fields: dict[ColumnName, _Field] = Field(description="Our column <- where it is in a record.")
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
        "record does not give. Of `placa_recebida` it says where to look: taken is the only plate there that "
        "is a word of its own, else none.",
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
            if field.factor != 1 and not known:
                raise ValueError(f"{name}.factor: the column holds no quantity")
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
        known = set(self.fields) | (set(self.vehicles.stamp) if self.vehicles else set())
        for name, lookup in self.lookups.items():
            if lookup.by not in known:
                raise ValueError(f"lookups.{name}.by: nothing gives {lookup.by}; map it in `fields`")
            known |= set(lookup.stamp)
        lacking = {"veiculo_id", "saida_utc", "chegada_utc"} - known
        if lacking:
            raise ValueError(
                f"fields must say where {', '.join(sorted(lacking))} are in a record. A carrier that lists "
                "positions only, no trips with departure and arrival, cannot be read yet"
            )
        self._fans_out()
        for i, rule in enumerate(self.errors):
            if rule.outcome == "skip" and self.vehicles is None:
                raise ValueError(f"errors.{i}: means: skip is for a fan-out, and there are no `vehicles`")
        self._known_placeholders()
        return self

    def _fans_out(self) -> None:
        asks = _VEHICLE & self.trips.placeholders()
        if self.vehicles is None:
            if asks:
                name = min(asks)
                raise ValueError(
                    f"trips uses {{{name}}}, so `vehicles` must say where the vehicles are listed"
                )
            return
        wanted = "vehicle" if self.vehicles.batch is None else "vehicles"
        if asks != {wanted}:
            batch = "" if self.vehicles.batch is None else " with a batch"
            raise ValueError(f"vehicles is given{batch}, so trips.path, params or body must use {{{wanted}}}")
        if self.vehicles.batch is not None and "veiculo_id" not in self.fields:
            raise ValueError("fields.veiculo_id: a batch needs it, to tell whose a trip is")
        if used := _VEHICLE & self.vehicles.placeholders():
            raise ValueError(f"vehicles cannot use {{{min(used)}}} itself")

    def _known_placeholders(self) -> None:
        given = set(self.login.gives) if self.login else set()
        if twice := given & set(self.secrets):
            raise ValueError(f"login.gives.{min(twice)}: there is a secret of that name; call one otherwise")
        known = given | set(self.secrets)
        used = {
            "trips": (self.trips.placeholders(), known | _WINDOW | _VEHICLE),
            "vehicles": (self.vehicles.placeholders() if self.vehicles else set(), known | _WINDOW),
            **{f"lookups.{n}": (r.placeholders(), known | _WINDOW) for n, r in self.lookups.items()},
            "headers": (placeholders(self.headers), known),
            "auth": (self.auth.needs if self.sends_auth else set(), known),
        }
        if self.login:
            of_login = self.login.placeholders() | (self.login.auth.needs if self.login.auth else set())
            used["login"] = (of_login, set(self.secrets))
        for request in filter(None, (self.login, self.trips, self.vehicles, *self.lookups.values())):
            for name, pattern in request.patterns():
                if name not in ("start", "end"):
                    raise ValueError(f"{{{name}:{pattern}}}: only start and end are written by a pattern")
                _window_format(pattern)
        for where, (names, allowed) in used.items():
            if unknown := names - allowed:
                name = min(unknown)
                raise ValueError(
                    f"{where}: unknown placeholder {{{name}}}; known: {', '.join(sorted(allowed))}. Name a "
                    f"secret in `secrets`, or let `login` give it; braces that are meant: {{{{{name}}}}}"
                )

    def asked_window(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """The instants that the trips of [start, end) are asked from and until.

        With the padding, and whole days where a request names days only; a year wider where it does not say
        from or until when.
        """
        window, names = self.window, self.trips.placeholders()
        since = start - timedelta(minutes=window.pad_before_min)
        until = end + timedelta(minutes=window.after_min)
        formats = [p for _, p in self.trips.patterns()] or [window.format]
        if all(f == "date" or ("%" in f and not names_a_clock(f)) for f in formats):
            zone, midnight = ZoneInfo(window.zone), time()
            last = until.astimezone(zone) - timedelta(microseconds=1)
            since = datetime.combine(since.astimezone(zone), midnight, zone)
            until = datetime.combine(last + timedelta(days=1), midnight, zone)
        year = timedelta(days=366)
        return since - year * ("start" not in names), until + year * ("end" not in names)

    @property
    def sends_auth(self) -> bool:
        """Whether the token travels as `auth` says."""
        if "auth" in self.model_fields_set:
            return True
        asked = [r.placeholders() for r in (self.trips, self.vehicles, *self.lookups.values()) if r]
        written = placeholders(self.headers).union(*asked)
        if self.login and "token" in self.login.gives:
            return "token" not in written
        written |= self.login.placeholders() if self.login else set()
        return "token" in self.secrets and "token" not in written

    def kept(self) -> bytes:
        """The profile as a capture keeps it, to be read again with: `Profile.model_validate_json`."""
        return self.model_dump_json(exclude=None if self.sends_auth else {"auth"}).encode()

    @property
    def joins(self) -> dict[str, Lookup | Vehicles]:
        """The lists that are joined to the trips' records, by the kind of their pages."""
        batched = {} if self.vehicles is None or self.vehicles.batch is None else {"vehicles": self.vehicles}
        return {**batched, **self.lookups}

    def listing(self, kind: str) -> Listing:
        """The listing that a page's `kind` (`trips`, `vehicles`, or a look-up's name) belongs to."""
        if kind == "vehicles" and self.vehicles is not None:
            return self.vehicles
        if kind in self.lookups:
            return self.lookups[kind]
        if kind == "trips":
            return self.trips
        raise ProfileError(f"{self.name}: the profile has no listing of kind {kind!r}")


def profile_schema() -> dict[str, Any]:
    """The profile language as JSON Schema, for editors; what contradicts itself only `load_profile` tells."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Profile.model_json_schema()}


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
