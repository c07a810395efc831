"""The telemetry sources: each one API of a carrier, with its own assets, hours and pace.

They stand in one document, `sources.yaml` (TELEMETRIA_SOURCES):

    alfa:
      url: https://fleet.alfa.example/api
      profile: motive
      secrets: {token: ALFA_TOKEN}
      start: 2026-03-01
      carriers: [Viação Alfa]
      pacing: {requests_per_second: 2}

Without the file, TELEMETRIA_API_… describe a single source called `main`.
"""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError, field_validator

from telemetria_pipeline.carriers.client import CarrierClient
from telemetria_pipeline.carriers.documents import NotYaml, load_yaml, problem_text
from telemetria_pipeline.carriers.profile import Pacing, Profile, SecretName, load_profile
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import PREFIX, Settings

MAIN = "main"
SLUG = r"^[a-z][a-z0-9_]{0,39}$"
_DEFAULT = Settings.model_fields["sources"].default


class SourceError(PipelineError):
    """A source cannot be used as it is described; the message names the key or the variable to set."""


class Source(BaseModel):
    """One telemetry API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Address of the API; the profile's base path is appended to it.")
    profile: str = Field(description="A shipped profile's name, or a YAML file's path.")
    secrets: dict[SecretName, str] = Field(
        description="Each secret and the environment variable that holds it; never the secret itself."
    )
    start: date = Field(description="First day that it has hours of.")
    carriers: list[str] = Field(
        default_factory=list, description="The carriers (transportadoras) that it speaks for."
    )
    pacing: Pacing | None = Field(default=None, description="In place of the profile's pacing.")
    _name: str = PrivateAttr("")
    _url_key: str = PrivateAttr("")

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write an address that starts with https:// (or http:// on this machine)")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("write https://host[:port][/path] and no more: a secret goes to `secrets`")
        return value

    @field_validator("secrets")
    @classmethod
    def _has_one(cls, value: dict[str, str]) -> dict[str, str]:
        if not value:
            raise ValueError("name the variable that holds the token: {token: ALFA_TOKEN}")
        return value

    def called(self, name: str, url_key: str) -> Self:
        """The same source with its name; `url_key` is what an error asks people to correct."""
        self._name, self._url_key = name, url_key
        return self

    @property
    def name(self) -> str:
        """Names it in asset keys, pools and the lake (`fonte=…`)."""
        return self._name

    @property
    def url_key(self) -> str:
        """Where its address is set."""
        return self._url_key

    def load_profile(self) -> Profile:
        """How to talk to it. Raises `ProfileError` naming the key that is wrong."""
        # Of several carriers the API does not say whose a vehicle is: the register does.
        carrier = self.carriers[0] if len(self.carriers) == 1 else None
        changed = {"pacing": self.pacing, "carrier": carrier}
        return load_profile(self.profile).model_copy(update={n: v for n, v in changed.items() if v})

    def secret_values(self, profile: Profile) -> dict[str, str]:
        """The secrets that the profile needs, by name. Raises `SourceError` naming what is not set."""
        unnamed = [name for name in profile.secrets if name not in self.secrets]
        if unnamed:
            given = ", ".join(sorted(self.secrets))
            raise SourceError(
                f"the profile {profile.name} needs the secret {unnamed[0]}; {self.name} names only {given}: "
                f"write {{{unnamed[0]}: THE_VARIABLE}} under `secrets` of the source in sources.yaml"
            )
        values = {name: os.environ.get(self.secrets[name], "").strip() for name in profile.secrets}
        variables = {self.secrets[name]: value for name, value in values.items()}
        missing = [name for name, value in {self.url_key: self.url, **variables}.items() if not value]
        if missing:
            raise SourceError(
                f"set {' and '.join(missing)} (in the environment or in .env) to reach the API of {self.name}"
            )
        return values

    def client(self, profile: Profile, **more: Any) -> CarrierClient:
        """A client of its API; `more` as for `CarrierClient`. Raises `SourceError` naming what is not set."""
        return CarrierClient(
            profile,
            self.url,
            self.secret_values(profile),
            url_key=self.url_key,
            secret_keys=self.secrets,
            **more,
        )

    def problem(self) -> str | None:
        """Why it cannot be asked as it stands now, or None; asks nothing of the network."""
        try:
            self.secret_values(self.load_profile())
        except PipelineError as error:
            return str(error)
        return None


def load_sources(settings: Settings) -> dict[str, Source]:
    """The sources by name.

    Raises `SourceError` where the document cannot be read or a key in it is wrong. Profiles and secrets are
    not looked at here: a source whose own are broken says so in its own runs, and stops nobody else's.
    """
    file = Path(settings.sources)
    if not file.exists() and settings.sources == _DEFAULT:
        return {MAIN: _single(settings)}
    try:
        document = load_yaml(file.read_text(encoding="utf-8"))
    except NotYaml as error:
        raise SourceError(f"{file.name}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{PREFIX}SOURCES: {file} cannot be read: {error}") from None
    if not isinstance(document, Mapping) or not document:
        raise SourceError(f"{file.name}: write one key a source, with its url, profile and secrets below it")
    try:
        sources = _SOURCES.validate_python(document)
    except ValidationError as error:
        said = [f"{file.name}: {problem_text(e, e['loc'])}" for e in error.errors()]
        raise SourceError("\n".join(said)) from None
    return {name: source.called(name, f"{file.name}: {name}.url") for name, source in sources.items()}


_SOURCES = TypeAdapter(dict[Annotated[str, Field(pattern=SLUG)], Source])


def _single(settings: Settings) -> Source:
    """The one that TELEMETRIA_API_… describe; nothing of it need be set yet."""
    source = Source.model_construct(
        url=settings.api_url or "",
        profile=settings.api_profile,
        secrets={"token": Settings.variable("api_token")},
        start=settings.start,
        carriers=[],
        pacing=None,
    )
    return source.called(MAIN, Settings.variable("api_url"))
