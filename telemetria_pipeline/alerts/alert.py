"""An alert, and how many of them become one short message."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

Phase = Literal["event", "begun", "over"]
"""Something that happened; a state that began; such a state that ended."""

EVERYBODY = ""
_LISTED = 5  # alerts of a kind that a message tells one by one
_DETAIL = 600  # characters


@dataclass(frozen=True)
class Alert:
    """One thing that somebody should know.

    `key` says which alerts are the same; `subject` is a line, `detail` what else there is to know and to do.
    `to` is who is told: a folder of the inbox, or everybody (the general channels), but for the channel that
    it is `about`. Checks are counted by `name`, and by `run`.
    """

    kind: str
    key: str
    subject: str
    detail: str = ""
    phase: Phase = "event"
    to: str = EVERYBODY
    about: str = ""
    name: str = ""
    run: str = ""

    def masked(self, mask: Callable[[str], str]) -> "Alert":
        """The same, its texts without secrets."""
        return replace(self, subject=mask(self.subject), detail=mask(self.detail))


@dataclass(frozen=True)
class Message:
    """What one channel is told at once."""

    title: str
    body: str


# The gravest first.
_MANY = {
    "lake": "{} about the lake",
    "outage": "{} about sources without an answer",
    "ticks": "{} about sensors, schedules and daemons",
    "report": "{} about the daily report",
    "run": "{} runs failed",
    "check": "{} checks failed or warned",
    "boletim": "{} boletins devolvidos",
    "channel": "{} about alert channels",
}
KINDS = tuple(_MANY)


def message(alerts: Iterable[Alert]) -> Message:
    """One message of all: a single alert as it is, of many a line each, by kind, the gravest first."""
    alerts = sorted(alerts, key=lambda alert: (KINDS.index(alert.kind), alert.key))
    if len(alerts) == 1:
        return Message(alerts[0].subject, _cut(alerts[0].detail))
    kinds = [list(of_kind) for _, of_kind in groupby(alerts, key=lambda alert: alert.kind)]
    headings = [_heading(of_kind) for of_kind in kinds]
    sections = [_section(heading, of_kind) for heading, of_kind in zip(headings, kinds, strict=True)]
    return Message("; ".join(headings), "\n\n".join(sections))


def _heading(alerts: Sequence[Alert]) -> str:
    if len(alerts) == 1:
        return alerts[0].subject
    said = _MANY[alerts[0].kind].format(len(alerts))
    runs = len({alert.run for alert in alerts if alert.run})
    if alerts[0].kind == "check" and runs:
        said += f" in {runs} {'run' if runs == 1 else 'runs'}"
    names = Counter(alert.name for alert in alerts if alert.name)
    most = sorted(names.items(), key=lambda name: (-name[1], name[0]))[:_LISTED]
    counts = ", ".join(name if n == 1 else f"{name} ({n})" for name, n in most)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{said}: {counts}{more}" if counts else said


def _section(heading: str, alerts: Sequence[Alert]) -> str:
    if len(alerts) == 1:
        return "\n".join(filter(None, [heading, _cut(alerts[0].detail)]))
    lines = [f"• {' – '.join(filter(None, [a.subject, _cut(a.detail)]))}" for a in alerts[:_LISTED]]
    more = [f"• … and {len(alerts) - _LISTED} more"] if len(alerts) > _LISTED else []
    return "\n".join([heading, *lines, *more])


def _cut(text: str) -> str:
    return text if len(text) <= _DETAIL else f"{text[:_DETAIL]} …"
