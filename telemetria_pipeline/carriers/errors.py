"""What can go wrong with a carrier's API, by type: transient (try later) or permanent (a person must act).

`retry` says whether the client tries again at once, inside its own budget; the base class says whether a
later run may. They differ where a carrier glitches briefly: a body that is not JSON is worth a second
request, but when it persists no later run will cure it. No text here ever holds the token.
"""

from typing import ClassVar

from telemetria_pipeline.errors import PipelineError


class CarrierError(PipelineError):
    """Any failure of a carrier's API: `attempts` made, and the last HTTP `status` (None without one)."""

    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, status: int | None = None, attempts: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.attempts = attempts

    @property
    def message(self) -> str:
        """What happened and what to do, without the attempts."""
        return str(self.args[0])

    def __str__(self) -> str:
        return f"{self.message} (after {self.attempts} attempts)" if self.attempts > 1 else self.message


class TransientError(CarrierError):
    """It may pass by itself: the hour can be captured again later. `wait_s`: the Retry-After, if any."""

    permanent = False
    retry = True
    wait_s: float | None = None


class PermanentError(CarrierError):
    """It will not pass by itself: no retry, at any layer, before a person acts."""


class ConnectionTrouble(TransientError):
    """No connection, a timeout, a reset, or a body cut in the middle."""


class ServerError(TransientError):
    """The carrier answered 408, 425 or 5xx (but 501)."""


class Throttled(TransientError):
    """The carrier answered 429."""


class ThrottledTooLong(TransientError):
    """The carrier went on answering 429 beyond the budget."""

    retry = False


class DeadlineExceeded(TransientError):
    """The total deadline passed, or the next wait would pass it."""

    retry = False


class RepeatedPage(TransientError):
    """A page or cursor came a second time: following it would loop or count rows twice."""


class IncompleteListing(TransientError):
    """The pages ended before the total that the carrier itself announces."""


class BusyInBody(TransientError):
    """An answer that the profile calls a passing error (`means: retry`)."""


class NotAsked(TransientError):
    """An hour that was not asked for, because the carrier gave no answer for those before it."""


class AuthError(PermanentError):
    """401 or 403: the token is missing, wrong, expired or not allowed. `expired`: a new one may do."""

    expired = False


class Skipped(PermanentError):
    """One vehicle of a fan-out cannot be asked, as the profile's `errors` say (`means: skip`)."""


class NotFoundError(PermanentError):
    """404: the address or the profile's path is wrong."""


class RejectedRequest(PermanentError):
    """Another 4xx, or 501: the carrier refuses the request as it is."""


class Redirected(PermanentError):
    """3xx: redirects are not followed, since they would carry the token elsewhere."""


class NotJson(PermanentError):
    """The body is not JSON (a login page, a cut body), and stayed so when asked again."""

    retry = True


class UnexpectedBody(PermanentError):
    """JSON, but not of the shape that the profile describes."""


class ErrorInBody(PermanentError):
    """An answer that the profile calls an error for good."""


class EndlessListing(PermanentError):
    """The pages go on for ever, and hold nothing."""


class OutsideWindow(PermanentError):
    """Rows of another time than was asked for: the window or the times are not what the profile says."""


class TruncatedListing(PermanentError):
    """The carrier cut the listing: rows are missing and cannot be told."""


class BodyTooLarge(PermanentError):
    """The body exceeds the profile's `http.max_body_mb`."""
