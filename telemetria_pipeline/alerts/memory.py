"""What was said already, and what is still on its way: one small object in the lake, so that a restart or a
second Dagster on the same lake says nothing twice.

    alerts/state.json

A message is a letter to each channel. It is claimed for two minutes before it is sent, and its try counted;
whoever dies in between leaves it to the next tick. One that does not arrive is tried again after growing
pauses, and dropped in the end.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from telemetria_pipeline.alerts.alert import Alert, message

KEY = "alerts/state.json"
MAX_TRIES = 6  # within some half an hour: a channel that is dead for longer is told of by the others
REMEMBERED = timedelta(days=2)
"""How long something that happened is not told again. Longer than the sensor looks back (a day)."""

_CLAIMED = timedelta(minutes=2)
_LETTER_LIVES = timedelta(days=1)
_STATE_LIVES = timedelta(days=60)  # of a source or a schedule that is no more, nobody says that it is back


class Letter(BaseModel):
    """A message on its way to one channel; not sent before `due`."""

    channel: str
    title: str
    body: str
    written: datetime
    due: datetime
    tries: int = 0


class State(BaseModel):
    """All that is remembered. `said`: what happened, and when it was told; `standing`: what began."""

    said: dict[str, datetime] = {}
    standing: dict[str, datetime] = {}
    letters: dict[str, Letter] = {}


def fresh(state: State, alerts: Iterable[Alert]) -> list[Alert]:
    """Those that were not said yet: of what ends, only what was said to have begun."""
    new = {a.key: a for a in alerts if _is_news(state, a)}
    return list(new.values())


def write_letters(
    state: State, alerts: Sequence[Alert], channels: Mapping[str, Collection[str]], now: datetime
) -> None:
    """Remember that these (`fresh`) alerts are said, and write them to the channels.

    `channels`: to whom (`Alert.to`) → the names of the channels that reach them; where there is none, the log
    is all there is.
    """
    for alert in alerts:
        if alert.phase == "event":
            state.said[alert.key] = now
        elif alert.phase == "begun":
            state.standing[alert.key] = now
        else:
            del state.standing[alert.key]
    for whom, names in channels.items():
        for name in names:
            told = [a for a in alerts if a.to == whom and a.about != name]
            if told:
                said = message(told)
                mark = "|".join([name, *sorted(f"{a.key} {a.phase}" for a in told)])
                state.letters[hashlib.sha256(mark.encode()).hexdigest()[:16]] = Letter(
                    channel=name, title=said.title, body=said.body, written=now, due=now
                )
    _forget(state, now)


def claim(state: State, names: Collection[str], now: datetime) -> list[str]:
    """The letters to these channels that are due; nobody else sends them for a while."""
    due = [mark for mark, letter in state.letters.items() if letter.channel in names and letter.due <= now]
    for mark in due:
        letter = state.letters[mark]
        letter.due, letter.tries = now + _CLAIMED, letter.tries + 1
    return due


def settle(state: State, outcomes: Mapping[str, str | None], now: datetime) -> list[str]:
    """Take what became of letters (None: arrived, else why not); the letters that are given up."""
    given_up = []
    for mark, why in outcomes.items():
        letter = state.letters.get(mark)
        if letter is None:  # sent by somebody else too, who was faster
            continue
        if why is None:
            del state.letters[mark]
            continue
        letter.due = now + timedelta(minutes=2 ** (letter.tries - 1))
        if letter.tries >= MAX_TRIES:
            given_up.append(mark)
            del state.letters[mark]
    return given_up


def _is_news(state: State, alert: Alert) -> bool:
    if alert.phase == "event":
        return alert.key not in state.said
    return (alert.key in state.standing) == (alert.phase == "over")


def _forget(state: State, now: datetime) -> None:
    state.said = {key: at for key, at in state.said.items() if now - at < REMEMBERED}
    state.standing = {key: at for key, at in state.standing.items() if now - at < _STATE_LIVES}
    state.letters = {mark: one for mark, one in state.letters.items() if now - one.written < _LETTER_LIVES}
