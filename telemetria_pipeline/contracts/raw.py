"""The manifest beside an hour's raw pages: what was asked, what came, and what is known of the hour."""

from datetime import datetime

from pydantic import BaseModel


def standing(state: str, captured_at: datetime | None, settles_at: datetime | None, now: datetime) -> str:
    """An hour's state, `open` where another capture may hold more: it was taken before the hour settled."""
    early = captured_at and settles_at and captured_at < settles_at <= now
    return "open" if early else state


class Redaction(BaseModel):
    """That a person was erased from bytes that are kept: when, why, and what the bytes' hash was before.

    `removed`: the person could not be taken out of them, so that they are no longer kept.
    """

    at: datetime
    reason: str
    sha256: str
    removed: bool = False


class RawPage(BaseModel):
    """One page as received; `key` is where its bytes lie, `stamp` what a fan-out adds to its records.

    `bytes` and `sha256` are of what is kept; `redacted` says what they were where a person was erased since.
    """

    number: int
    kind: str
    key: str
    path: str
    rows: int
    bytes: int
    sha256: str
    fetched_at: datetime
    stamp: dict[str, str] = {}
    status: int = 200
    left_out: int = 0  # records of another kind, by the profile's `where`
    redacted: list[Redaction] = []


class SkippedVehicle(BaseModel):
    """A vehicle that could not be asked: its id, what the carrier's list says of it, and why.

    Nothing is known of it in the hour: its silence is no evidence.
    """

    id: str
    stamp: dict[str, str] = {}
    reason: str


class Capture(BaseModel):
    """One complete answer of the carrier for an hour."""

    id: str
    run_id: str
    profile: str
    profile_sha256: str | None = None  # of `profile.json` beside the pages
    captured_at: datetime
    requests: int
    retries: int
    bytes: int
    fields: list[str]  # names of the fields seen, for schema drift
    carrier: str | None = None
    settles_at: datetime | None = None  # from when on a capture holds every trip of the hour
    pages: list[RawPage]
    skipped: list[SkippedVehicle] = []

    @property
    def rows(self) -> int:
        """Records received."""
        return sum(page.rows for page in self.pages if page.kind == "trips")


class Failure(BaseModel):
    """Why the last try got no answer; gone once a later one does.

    `attempts` counts the runs in a row that failed; a person's run begins to count anew.
    """

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
    confirmed: str | None = None  # a later one that says the same: the tables stay as they are
    accepted: int | None = None  # trips that they hold
    captures: list[Capture] = []
    failure: Failure | None = None

    @property
    def current(self) -> Capture | None:
        """The capture that the hour's tables are made from."""
        return self.captures[-1] if self.captures else None

    @property
    def in_tables(self) -> bool:
        """Whether the hour's tables say what the current capture says."""
        return self.current is not None and self.current.id in (self.published, self.confirmed)

    @property
    def unpublished(self) -> list[Capture]:
        """The captures after the last that reached the tables."""
        reached = [n for n, c in enumerate(self.captures) if c.id in (self.published, self.confirmed)]
        return self.captures[max(reached, default=-1) + 1 :]

    def say_of(self, capture: Capture, state: str) -> None:
        """Note the hour's state by this capture; where another one is current, its own counts."""
        if self.current and self.current.id == capture.id:
            self.state = state

    def standing(self, now: datetime) -> str:
        """The state as a recapture sees it.

        `missing` too where the newest capture never reached the tables; `open` too where it was taken too
        early to be the last: most carriers list a trip only once it has ended, and some buses send late.
        """
        if self.current is None:
            return self.state
        if not self.in_tables:
            return "missing"
        return standing(self.state, self.current.captured_at, self.current.settles_at, now)


class Withdrawal(BaseModel):
    """That a person took a file's trips back, when and why."""

    at: datetime
    reason: str


UNREAD = ".too-large.json"


class FileManifest(BaseModel):
    """A boletim file, from landing to archive; `verdict` is None until there is one."""

    file: str  # its partition
    key: str  # where it landed in the inbox
    etag: str
    size: int
    landed_at: datetime
    received_at: datetime
    sha256: str  # of what is kept
    original: str  # where its bytes are kept in the lake; of one too large to be read, a note (`UNREAD`)
    verdict: str | None = None
    rows: dict[str, int] = {}
    days: list[str] = []  # that its sound rows declare
    declared: list[str] = []  # days that `boletim_declarations` may hold rows of it of
    indexed: list[str] = []  # days that the index of days may have an entry of it for
    counted: int = 0  # how many of its trips count
    duplicate_of: str | None = None
    replaces: list[str] = []  # earlier files of its name whose trips it took the place of
    replaced_by: str | None = None  # the last that did so to one of its own
    withdrawn: Withdrawal | None = None
    answer: str | None = None  # key of the JSON answer in the inbox's archive
    archived: str | None = None  # where the file lies in the inbox's archive
    redacted: list[Redaction] = []  # why `size` and `sha256` are not those of what was received

    @property
    def name(self) -> str:
        """The sender's name for the file."""
        return self.key.rpartition("/")[2]

    @property
    def unread(self) -> bool:
        """Whether the file is larger than what is read: its size alone decided."""
        return self.original.endswith(UNREAD)

    @property
    def place(self) -> tuple[datetime, str]:
        """What files are put in order by."""
        return self.received_at, self.file
