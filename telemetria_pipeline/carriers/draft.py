"""A proposal as a profile for a person to read: each guess beside its evidence, what is open on top."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from telemetria_pipeline.carriers.captured import Request, Template, as_template
from telemetria_pipeline.carriers.placeholders import placeholders
from telemetria_pipeline.carriers.profile import COLUMNS
from telemetria_pipeline.carriers.proposal import Guess, Listed, Proposal
from telemetria_pipeline.carriers.redaction import Secrets
from telemetria_pipeline.carriers.units import OWN_UNIT, dimension

_ZONE = "America/Sao_Paulo"
_LONG = 6  # a shorter value is told from others nowhere
_NO_PLATE = """\
# The records name vehicles by an id only. Give the list with their plates (--lookup devices.json), or write:
# lookups:
#   devices: {path: /devices, by: veiculo_id, id: id, stamp: {placa_recebida: plate, descricao: name}}
"""


def as_yaml(found: Proposal, name: str, carrier: str, request: Request) -> str:
    """The profile's text; no secret of the request and no person's name is in it."""
    asked = as_template(request, found.vehicles.asked if found.vehicles else "")
    # Unless the request has its secrets elsewhere, there is a token, and it travels in the header.
    elsewhere = {*request.header_secrets} & {*asked.secrets}
    in_header = not asked.secrets or (request.sends_header and not elsewhere)
    secrets = list(dict.fromkeys([*(request.header_secrets if in_header else []), *asked.secrets]))
    head: dict[str, Any] = {"name": name, "carrier": carrier}
    if secrets != ["token"]:
        head["secrets"] = secrets
    if in_header:
        head["auth"] = {"header": request.header, "template": request.template}
    window = {"anchor": "overlap", "format": asked.window}
    if "%" in found.times and ("%" in asked.window or asked.window == "iso_local"):
        window["zone"] = _ZONE  # as the records'
    trips = {**_request(request, asked), "records": found.records}
    if found.unwrap:
        trips["unwrap"] = found.unwrap
    lines = [
        "# yaml-language-server: $schema=profile.schema.json",
        f"# Proposed from one answer of {len(found.rows)} records. Each line is a guess: read what is beside",
        "# it, see docs/carriers.md for every key, then hold it against the API: telemetria carrier check",
        *(_remark(f"OPEN: {said}") for said in [*found.open, *asked.open]),
        "",
        _yaml({**head, "window": window}),
        "",
        *_lists(found, request, asked),
        _yaml({"trips": trips}),
        "",
        "fields:",
        *(f"  {_given(found.guesses[column])}" for column in COLUMNS if column in found.guesses),
        "  # not found in the answer:",
        *(f"  # {c}:  # {COLUMNS[c].description}" for c in COLUMNS if c not in found.given),
        "",
        f"times: {_inline({'format': found.times, 'zone': _ZONE})}  " + _remark(found.times_evidence),
        "",
    ]
    if found.in_description:
        lines += [_remark(found.in_description), "description_pattern: '(?P<placa_recebida>.+)'", ""]
    # A carrier may repeat a secret, as in the address of a next page; only remarks show what it said.
    hidden = [Secrets(value, in_header=False) for value in asked.hidden if len(value) >= _LONG]
    text = "\n".join(lines)
    return re.sub("# .*", lambda remark: _masked(remark[0], hidden), text)


def _masked(text: str, hidden: Sequence[Secrets]) -> str:
    for secret in hidden:
        text = secret.redact(text)
    return text


def _request(request: Request, asked: Template) -> dict[str, Any]:
    given = {"method": request.method, "path": asked.path, "params": asked.params, "body": asked.body}
    return {key: value for key, value in given.items() if value and value != "GET"}


def _lists(found: Proposal, request: Request, asked: Template) -> Iterator[str]:
    """The fan-out and the look-ups; how their answers were asked for nobody told."""
    if found.vehicles:
        yield from ["vehicles:", *_listed(found.vehicles, "  ", request, asked), ""]
    if found.lookups:
        yield "lookups:"
        for one in found.lookups:
            yield from [f"  {one.name}:", *_listed(one, "    ", request, asked)]
        yield ""
    elif not found.vehicles and "placa_recebida" not in found.guesses and not found.in_description:
        yield _NO_PLATE


def _listed(one: Listed, indent: str, request: Request, asked: Template) -> Iterator[str]:
    above, *of_one = asked.path.split("/{vehicle}")  # /trackers/{vehicle}/trips stands below the list
    path = above if of_one else f"/{one.name}"
    yield f"{indent}path: {_inline(path)}  # OPEN: how {one.name} are asked for"
    if request.method == "POST" and not of_one:
        body = asked.body if isinstance(asked.body, dict) else {}
        secret = {key: value for key, value in body.items() if placeholders(value) & {*asked.secrets}}
        yield f"{indent}method: POST"
        yield f"{indent}body: {_inline(secret)}"
    yield f"{indent}records: {_inline(one.records)}"
    if one.unwrap:
        yield f"{indent}unwrap: {_inline(one.unwrap)}"
    if indent != "  ":
        yield f"{indent}by: {one.by}"
    yield f"{indent}id: {_inline(one.id.path)}  {_remark(one.id.evidence)}"
    yield f"{indent}stamp:"
    yield from (f"{indent}  {_given(guess)}" for guess in one.stamp.values())


def _given(guess: Guess) -> str:
    value: Any = guess.path if len(guess.paths) == 1 else guess.paths
    more = {"decimal": guess.decimal} if guess.decimal != "." else {}
    if guess.unit and guess.unit != OWN_UNIT[dimension(guess.column)]:
        more = {"unit": guess.unit, **more}
    return f"{guess.column}: {_inline({'path': value, **more} if more else value)}  {_remark(guess.evidence)}"


def _remark(text: str) -> str:
    """A comment of one line, whatever a carrier's keys and values hold."""
    return "# " + "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _inline(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).splitlines()[0]


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110).rstrip()
