"""The manifest beside an hour's raw pages: what was asked, what came, and what is known of the hour."""

from datetime import datetime

from pydantic import BaseModel


class RawPage(BaseModel):
    """One page as received; `key` is where its bytes lie, `stamp` what a fan-out adds to its records."""

    number: int
    kind: str
    key: str
    path: str
    rows: int
    bytes: int
    sha256: str
    fetched_at: datetime
    stamp: dict[str, str] = {}


class Capture(BaseModel):
    """One complete answer of the carrier for an hour."""

    id: str
    run_id: str
    profile: str
    captured_at: datetime
    requests: int
    retries: int
    bytes: int
    fields: list[str]  # names of the fields seen, for schema drift
    pages: list[RawPage]

    @property
    def rows(self) -> int:
        """Records received."""
        return sum(page.rows for page in self.pages if page.kind == "trips")


class Failure(BaseModel):
    """Why the last try got no answer; gone once a later one does."""

    run_id: str
    attempts: int
    error: str
    at: datetime
    permanent: bool


class HourManifest(BaseModel):
    """All captures of an hour, oldest first; the last one is current, and none is ever overwritten."""

    hour: str
    state: str = "missing"
    published: str | None = None  # the capture that the hour's tables hold
    accepted: int | None = None  # trips that they hold
    captures: list[Capture] = []
    failure: Failure | None = None

    @property
    def current(self) -> Capture | None:
        """The capture that the hour's tables are made from."""
        return self.captures[-1] if self.captures else None
