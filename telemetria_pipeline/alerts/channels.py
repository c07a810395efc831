"""The channels that alerts leave by, each one Apprise address, and who a folder's sender is.

A channel is named by its scheme, and by its host where that is no secret: of `slack://…` everything is one.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from telemetria_pipeline.alerts.alert import Message
from telemetria_pipeline.carriers.documents import NotYaml, load_yaml
from telemetria_pipeline.errors import PipelineError
from telemetria_pipeline.settings import Settings

TIMEOUT_S = 10.0  # for one message to one channel, all in all
_AT_ONCE = 16
_WITH_HOST = {"json", "jsons", "form", "forms", "xml", "xmls", "mailto", "mailtos"}
_SENDERS = TypeAdapter(dict[str, Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$")]])


class SendersError(PipelineError):
    """The file that says whose a folder is cannot be used; the message says what to write."""


@dataclass(frozen=True)
class Channel:
    """Where messages go. `address` is a secret; empty where `problem` says what is missing."""

    name: str
    address: str = field(repr=False)
    problem: str = ""

    def send(self, said: Message) -> str | None:
        """Send a message; None where it arrived, else why not. Never raises, and ends within `TIMEOUT_S`.

        What Apprise says may hold secrets: mask it.
        """
        if self.problem:
            return self.problem
        import apprise  # 0.3 s that no run of the pipeline should pay

        try:
            there = apprise.Apprise(asset=_asset())
            if not there.add(self.address):
                return (
                    "this is no address that Apprise knows; write one like slack://…, mailto://… or json://…"
                )
            result = there.notify(
                body=said.body or said.title,
                title=said.title,
                body_format=apprise.NotifyFormat.TEXT,
                timeout=TIMEOUT_S,
            )
            why = [entry.message for entry in result.logs()]
            return None if result else " ".join(why) or "it did not take the message, and does not say why"
        except Exception as error:  # a channel is somebody else's code: whatever it is, the others go on
            return f"sending failed: {type(error).__name__}"


def general_channels(settings: Settings) -> list[Channel]:
    """The channels of TELEMETRIA_ALERTS, in their order, each under a name of its own."""
    named: dict[str, Channel] = {}
    for number, address in enumerate(settings.alert_addresses, 1):
        name = _name(address) or f"address {number}"
        name = name if name not in named else f"{name} ({number})"
        named[name] = Channel(name, address)
    return list(named.values())


def sender_channels(settings: Settings) -> dict[str, Channel]:
    """Folder of the inbox → the channel to whom sends from there. Raises `SendersError`."""
    account, mails = settings.mail_account, _senders(settings)
    problem = "" if account else f"set {Settings.variable('alerts_mail')} to the mail account that answers"
    more = "&" if "?" in account else "?"
    return {
        folder: Channel(f"sender of {folder}", f"{account}{more}to={quote(mail)}", problem)
        for folder, mail in mails.items()
    }


def folder_of(key: str, folders: Iterable[str]) -> str | None:
    """The innermost of these folders that a file of the inbox lies in, great and small letters alike."""
    above = [str(parent).casefold() for parent in PurePosixPath(key).parents]
    known = {folder.strip("/").casefold() or ".": folder for folder in folders}
    return next((known[folder] for folder in above if folder in known), None)


def send_all(letters: Mapping[str, tuple[Channel, Message]]) -> dict[str, str | None]:
    """Send all at once; of each, None or why it did not arrive."""
    if not letters:
        return {}
    with ThreadPoolExecutor(_AT_ONCE) as senders:
        sent = senders.map(lambda letter: letter[0].send(letter[1]), letters.values())
        return dict(zip(letters, sent, strict=True))


def _senders(settings: Settings) -> dict[str, str]:
    file = Path(settings.senders)
    if not file.exists() and settings.senders == Settings.model_fields["senders"].default:
        return {}
    try:
        return _SENDERS.validate_python(load_yaml(file.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, NotYaml) as error:
        raise SendersError(f"{Settings.variable('senders')}: {file.name} cannot be read: {error}") from None
    except ValidationError as error:
        wrong = ", ".join(str(e["loc"][0]) if e["loc"] else file.name for e in error.errors())
        raise SendersError(
            f"{file.name}: write a folder of the inbox and one e-mail address a line; wrong at {wrong}"
        ) from None


def _name(address: str) -> str | None:
    import apprise

    channel = apprise.Apprise.instantiate(address, asset=_asset(), suppress_exceptions=True)
    if channel is None:
        return None
    scheme = urlsplit(channel.url(privacy=True)).scheme
    if scheme not in _WITH_HOST or not re.fullmatch(r"[\w.-]+", channel.host or ""):
        return scheme
    return f"{scheme}://{channel.host}" + (f":{channel.port}" if channel.port else "")


def _asset() -> Any:
    import apprise

    # What Apprise says is in its results too, and is masked there before anybody reads it.
    log = logging.getLogger(apprise.LOGGER_NAME)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return apprise.AppriseAsset(app_id="telemetria", app_desc="telemetria")
