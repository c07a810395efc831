"""Says alerts: each once, to whom it concerns, by whatever channel takes it; a dead channel fails nobody."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, TypeVar

from telemetria_pipeline.alerts.alert import EVERYBODY, Alert, Message, message
from telemetria_pipeline.alerts.channels import (
    Channel,
    SendersError,
    folder_of,
    general_channels,
    send_all,
    sender_channels,
)
from telemetria_pipeline.alerts.masking import masking
from telemetria_pipeline.alerts.memory import KEY, State, claim, fresh, settle, write_letters
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.storage.lake import Lake

_Result = TypeVar("_Result")


@dataclass
class Told:
    """What was said now: the new alerts, and what did not arrive (channel → why). All without secrets."""

    alerts: list[Alert] = field(default_factory=list)
    sent: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    given_up: int = 0
    waiting: int = 0

    def __str__(self) -> str:
        said = [f"{name} did not take a message: {why}" for name, why in self.failed.items()]
        counts = {
            "new alerts": len(self.alerts),
            "messages sent": self.sent,
            "messages waiting to be tried again": self.waiting,
            "messages given up": self.given_up,
        }
        counted = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return "; ".join(filter(None, [counted, *said])) or "Nothing new to say"


@dataclass(frozen=True)
class Post:
    """The channels that the settings name: for everybody, and for the senders of each folder."""

    general: list[Channel]
    senders: dict[str, Channel]
    mask: Callable[[str], str] = field(repr=False)
    problem: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises nothing for what is wrong with a channel: that is said over the others."""
        try:
            senders, problem = sender_channels(settings), ""
        except SendersError as error:
            senders, problem = {}, str(error)
        return cls(general_channels(settings), senders, masking(settings), problem)

    def whose(self, key: str) -> str:
        """Who is told of a file of the inbox: its folder's sender (`Alert.to`), else everybody."""
        return folder_of(key, self.senders) or EVERYBODY

    def tell(self, lake: Lake, alerts: Iterable[Alert], now: datetime) -> Told:
        """Say what was not said yet, and try again what did not arrive. Raises `StorageError`."""
        told, alerts = Told(), [*alerts, self._senders_file()]
        for _ in range(2):  # what the first sending tells of the channels, the second tells the others
            marks, new, state = self._write(lake, alerts, now)
            told.alerts += new
            told.waiting = len(state.letters)
            if not marks:
                break
            outcomes = self._send(state, marks)
            given_up, told.waiting = _settle(lake, outcomes, now)
            told.given_up += given_up
            told.sent += sum(why is None for why in outcomes.values())
            of_channel = {state.letters[mark].channel: why for mark, why in outcomes.items()}
            told.failed |= {name: why for name, why in of_channel.items() if why}
            alerts = [_about(name, why) for name, why in of_channel.items()]
        return told

    def tell_at_once(self, alert: Alert) -> Told:
        """Say it to everybody and remember nothing: for when there is no lake to remember it in."""
        alert = alert.masked(self.mask)
        outcomes = send_all({channel.name: (channel, message([alert])) for channel in self.general})
        failed = {name: self.mask(why) for name, why in outcomes.items() if why}
        return Told([alert], len(outcomes) - len(failed), failed)

    @property
    def _channels(self) -> dict[str, Channel]:
        return {channel.name: channel for channel in [*self.general, *self.senders.values()]}

    def _write(
        self, lake: Lake, alerts: Sequence[Alert], now: datetime
    ) -> tuple[list[str], list[Alert], State]:
        reached = {
            EVERYBODY: [c.name for c in self.general],
            **{f: [c.name] for f, c in self.senders.items()},
        }

        def change(state: State) -> tuple[list[str], list[Alert]]:
            new = [alert.masked(self.mask) for alert in fresh(state, alerts)]
            if new:
                write_letters(state, new, reached, now)
            return claim(state, self._channels, now), new

        (marks, new), state = _update(lake, change)
        return marks, new, state

    def _send(self, state: State, marks: list[str]) -> dict[str, str | None]:
        letters = {mark: state.letters[mark] for mark in marks}
        outcomes = send_all(
            {
                mark: (self._channels[one.channel], Message(one.title, one.body))
                for mark, one in letters.items()
            }
        )
        return {mark: self.mask(why) if why else None for mark, why in outcomes.items()}

    def _senders_file(self) -> Alert:
        return (
            Alert("channel", "senders", "Senders of boletins are told nothing", self.problem, "begun")
            if self.problem
            else Alert("channel", "senders", "Senders of boletins are told again", phase="over")
        )


def _about(name: str, why: str | None) -> Alert:
    """What the other channels are told of one."""
    if why:
        return Alert(
            "channel", f"channel {name}", f"The alert channel {name} is dead", why, "begun", about=name
        )
    return Alert(
        "channel", f"channel {name}", f"The alert channel {name} works again", phase="over", about=name
    )


def _settle(lake: Lake, outcomes: Mapping[str, str | None], now: datetime) -> tuple[int, int]:
    """Remember what became of letters; how many are given up, and how many wait."""
    given_up, state = _update(lake, lambda state: settle(state, outcomes, now))
    return len(given_up), len(state.letters)


def _update(lake: Lake, change: Callable[[State], _Result]) -> tuple[_Result, State]:
    """Change what is remembered; what `change` returned, and what is remembered now."""
    results: list[Any] = []

    def changed(found: Any) -> Any:
        state = State.model_validate(found or {})
        results.append(change(state))
        return state.model_dump(mode="json")

    stored = lake.update_json(KEY, changed)
    return results[-1], State.model_validate(stored or {})


def read_state(lake: Lake) -> State:
    """What was said, and what is on its way."""
    return lake.read_model(KEY, State) or State()
