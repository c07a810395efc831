"""A first profile from one captured answer: guesses, each with the evidence that it rests on.

A path is guessed by its words (`start_time`, `dataPartida`) and by what its values look like; a unit by what
makes a bus of the trips: a distance over the time on the road is a speed, and only one unit makes a sane one.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from telemetria_pipeline.carriers.inspection import names_a_place
from telemetria_pipeline.carriers.instants import read_instants
from telemetria_pipeline.carriers.paths import search
from telemetria_pipeline.carriers.plates import plate_in
from telemetria_pipeline.carriers.profile import COLUMNS
from telemetria_pipeline.carriers.units import UNITS, dimension, read_numbers
from telemetria_pipeline.errors import PipelineError

_MOST_RECORDS = 500
_MOST = 0.8  # of the values must be what a path is taken for
_MOST_SHOWN = 44  # characters of an example beside a guess
_UTC = ZoneInfo("UTC")

# What the words of a path say of a column; the first that fits is taken, and a path is given away once.
_START = r"start|begin|depart|from|origin|inicio|inicial|partida|saida"
_END = r"end|stop|finish|arriv|to|destin|fim|final|chegada"
_SPEED = r"speed|velocidade|\bvel\b"
_PLACE = r"address|location|place|local|endereco"
_ODOMETER = r"odo|hodo|mileage|kilomet|km"
_WORDS: dict[str, str] = {
    "proxima_saida_utc": r"next.*(start|depart|begin|saida)",
    "atualizado_utc": r"(updated|modified|changed|atualizad|alterad)",
    "saida_utc": rf"({_START})",
    "chegada_utc": rf"({_END})",
    "placa_recebida": r"(plate|placa|registration|licen[sc]e|matricula do veiculo)",
    "motorista_id": r"(driver|motorista|condutor|employee).*(id|code|codigo|key|uid|matricula)$"
    r"|(driver|motorista)$",
    "motorista": r"(driver|motorista|condutor).*(name|nome)|(driver|motorista)$",
    "veiculo_id": r"(vehicle|device|asset|unit|tracker|veiculo|object).*(id|uid|key|code|codigo|number|imei)$"
    r"|^(device|vehicle|veiculo|tracker|imei|asset)$",
    "equipamento": r"(fleet|frota|prefix|vehicle number|unit number|equipamento)",
    "descricao": r"(vehicle|device|asset|veiculo|tracker).*(name|label|description|nome|descricao|apelido)",
    "odometro_saida_km": rf"({_ODOMETER}).*({_START})|({_START}).*({_ODOMETER})",
    "odometro_chegada_km": rf"({_ODOMETER}).*({_END})|({_END}).*({_ODOMETER})",
    "distancia_telemetria_km": r"(distance|distancia|length|mileage|kilomet|^km|km percorrid|trip km)",
    "velocidade_maxima_kmh": rf"(max|top|peak).*({_SPEED})|({_SPEED}).*(max|top)",
    "tempo_conducao_s": r"(driving|drive|conducao|moving|movimento|duration|duracao)",
    "tempo_parado_s": r"(stopped|stop duration|idle|parado|parada)",
    "local_saida": rf"({_START}).*({_PLACE}|name)|({_PLACE}).*({_START})|^(origin|origem)$",
    "local_chegada": rf"({_END}).*({_PLACE}|name)|({_PLACE}).*({_END})|^(destination|destino)$",
    "fuso": r"time ?zone|fuso",
    "garagem": r"garage|garagem|depot|yard",
    "id_origem": r"^(trip |travel |journey |viagem )?(id|uuid|guid|key)$",
}
_INSTANTS = [name for name in _WORDS if name.endswith("_utc")]  # the next departure before the departure
_ONLY_TEXT = ("local_saida", "local_chegada", "motorista", "descricao", "fuso", "garagem")
_ID = re.compile(r"\b(id|uid|uuid|key|code|codigo|imei|number)$")
# What some put before a name, and others after it: `cdVeiculo`, `nome_motorista`.
_KINDS = {
    "cd": "codigo", "cod": "codigo", "codigo": "codigo", "id": "id", "nr": "number", "num": "number",
    "numero": "number", "ds": "descricao", "desc": "descricao", "descricao": "descricao", "nm": "nome",
    "nome": "nome",
}  # fmt: skip
_SEPARATORS = re.compile(r"[^0-9A-Za-zÀ-ÿ]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class NoRecords(PipelineError):
    """The answer holds no list of records; the message says what it holds."""


@dataclass(frozen=True)
class Guess:
    """Where a column's value seems to be, and why it is thought so."""

    column: str
    path: str
    evidence: str
    unit: str | None = None
    decimal: str = "."
    more: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """The paths, of which several are joined."""
        return [self.path, *self.more]


@dataclass(frozen=True)
class Listed:
    """Another list of the carrier, which says more of what the trips name by an id in the column `by`.

    For a fan-out it is the list of vehicles to ask one by one; `asked` is the id of the one that was.
    """

    name: str
    by: str
    records: str
    unwrap: str | None
    id: Guess
    stamp: dict[str, Guess]
    asked: str = ""


@dataclass
class Proposal:
    """What was guessed of an answer: the listing, the columns, how times are written; and what is open.

    `in_description` is why the plate is thought to stand in the description.
    """

    records: str
    unwrap: str | None
    rows: list[Mapping[str, Any]]
    guesses: dict[str, Guess] = field(default_factory=dict)
    times: str = "iso"
    times_evidence: str = ""
    open: list[str] = field(default_factory=list)
    paging: dict[str, str] = field(default_factory=dict)
    lookups: list[Listed] = field(default_factory=list)
    vehicles: Listed | None = None
    descriptions: list[str] = field(default_factory=list)
    in_description: str = ""

    @property
    def lists(self) -> list[Listed]:
        """The other lists that are joined."""
        return [*self.lookups, *([self.vehicles] if self.vehicles else [])]

    @property
    def given(self) -> set[str]:
        """The columns that the records or a list give."""
        return {*self.guesses, *(column for one in self.lists for column in one.stamp)}


def propose(
    answer: Any, lists: Mapping[str, Any] | None = None, asked: Collection[str] = frozenset()
) -> Proposal:
    """Guess a profile of a decoded JSON answer. Raises `NoRecords` where no list of objects is in it.

    Args:
        lists: other answers of the carrier, by a name, which may say more of vehicles or drivers.
        asked: the texts of the request; where the records name no vehicle, its id is one of them.
    """
    records, unwrap, rows = _records_of(answer)
    found = Proposal(records, unwrap, rows)
    values = _values(rows)
    _guess_times(found, values)
    taken = {guess.path for guess in found.guesses.values()}
    for column in [name for name in _WORDS if name not in _INSTANTS]:
        guess = _by_words(column, values, taken)
        if guess:
            found.guesses[column] = guess
            taken.add(guess.path)
    _plates_by_look(found, values)
    _guess_units(found, values)
    found.paging = _paging_of(answer)
    for name, listed in (lists or {}).items():
        _add_list(found, values, name, listed, asked)
    _plates_in_descriptions(found, values)
    _say_what_is_open(found, values)
    return found


# --- where the records are --------------------------------------------------------------------------------


def _records_of(
    answer: Any, most: int | None = _MOST_RECORDS
) -> tuple[str, str | None, list[Mapping[str, Any]]]:
    lists = [(path, rows) for path, rows in _lists(answer, "") if rows]
    if not lists:
        what = (
            f"an object with the keys {', '.join(list(answer)[:8])}"
            if isinstance(answer, dict)
            else "no object"
        )
        raise NoRecords(
            f"the answer holds no list of objects ({what}): capture one of an hour in which trips were driven"
        )
    path, rows = max(lists, key=lambda found: (len(found[1]), sum(map(len, found[1][:5]))))
    keys = {tuple(row) for row in rows}
    if len(keys) == 1 and len(rows[0]) == 1:
        (wrapper,) = rows[0]
        if all(isinstance(row[wrapper], dict) for row in rows):
            return path or "@", wrapper, [row[wrapper] for row in rows][:most]
    return path or "@", None, rows[:most]


def _lists(value: Any, path: str) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Every list of objects outside of other lists, with its path."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        yield path, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _lists(below, f"{path}.{_name(key)}".lstrip("."))


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Each path of a plain value in the records → its value in each of them (None where it is not there)."""
    paths: dict[str, None] = {}
    for row in rows:
        paths.update(dict.fromkeys(_leaves(row, "")))
    values = {path: [search(path, row) for row in rows] for path in paths}
    # `driver` is null in one record and an object in the next: its parts are paths of their own.
    return {path: found for path, found in values.items() if not any(isinstance(v, dict) for v in found)}


def _leaves(value: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, below in value.items():
        at = f"{path}.{_name(key)}".lstrip(".")
        if isinstance(below, dict):
            yield from _leaves(below, at)
        elif not isinstance(below, list):
            yield at


def _name(key: str) -> str:
    """A key as JMESPath names it."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
        return key
    return json.dumps(key, ensure_ascii=not key.isprintable())


def _words(path: str) -> str:
    """`vehicle.startOdometer` → `vehicle start odometer`, `cdVeiculo` → `veiculo codigo`."""
    above, _, name = path.rpartition(".")
    words = [word.lower() for word in _SEPARATORS.split(name) if word]
    if len(words) > 1 and words[0] in _KINDS:
        words = [*words[1:], _KINDS[words[0]]]
    return " ".join([*(word.lower() for word in _SEPARATORS.split(above) if word), *words])


# --- what the values are ----------------------------------------------------------------------------------


_DATE_AND_CLOCK = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d"
_TIME_FORMATS: dict[str, Callable[[Any], bool]] = {
    "iso": lambda v: bool(re.fullmatch(rf"{_DATE_AND_CLOCK}.*(Z|[+-]\d\d:?\d\d)", str(v))),
    "iso_utc": lambda v: bool(re.fullmatch(rf"{_DATE_AND_CLOCK}[:.\d]*", str(v))),
    "epoch_ms": lambda v: _is_number(v) and 1e12 <= float(v) < 5e12,
    "epoch_s": lambda v: _is_number(v) and 1e9 <= float(v) < 5e9,
    "json_date": lambda v: bool(re.fullmatch(r"\\?/Date\(-?\d+([+-]\d{4})?\)\\?/", str(v))),
    "%d/%m/%Y %H:%M:%S": lambda v: bool(re.fullmatch(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d", str(v))),
    "%d/%m/%Y %H:%M": lambda v: bool(re.fullmatch(r"\d\d/\d\d/\d{4} \d\d:\d\d", str(v))),
}


def _guess_times(found: Proposal, values: Mapping[str, list[Any]]) -> None:
    formats = {path: _time_format(of_path) for path, of_path in values.items()}
    timed = {path: how for path, how in formats.items() if how}
    for column in _INSTANTS:
        fits = [p for p in timed if re.search(_WORDS.get(column, "$^"), _words(p))]
        fits = [p for p in fits if p not in {g.path for g in found.guesses.values()}]
        if column in ("saida_utc", "chegada_utc"):
            # A trip's own times stand higher than those of what is in it.
            fits.sort(key=lambda p: (p.count("."), sum(v is None for v in values[p])))
        if fits:
            shown = _instant_text(values[fits[0]], timed[fits[0]])
            found.guesses[column] = Guess(column, fits[0], shown)
    used = [timed[g.path] for g in found.guesses.values()]
    if not used:
        return
    found.times = max(set(used), key=used.count)
    found.times_evidence = {
        "json_date": "milliseconds since 1970",
        "iso": "an offset or Z is in the text",
        "iso_utc": "no offset is in the text: UTC? for the vehicles' clocks write iso_local and their zone",
        "epoch_ms": "milliseconds since 1970",
        "epoch_s": "seconds since 1970",
    }.get(found.times, "the day first? of the vehicles' clocks?")
    if len(set(used)) > 1:
        found.open.append(f"times are written in {len(set(used))} ways ({', '.join(sorted(set(used)))})")


def _time_format(values: Sequence[Any]) -> str | None:
    known = [v for v in values if v not in (None, "", 0)]
    return next((f for f, fits in _TIME_FORMATS.items() if known and all(map(fits, known))), None)


def _instant_text(values: Sequence[Any], how: str) -> str:
    first = next(v for v in values if v not in (None, "", 0))
    (instant,), _ = read_instants([first if how.startswith("epoch") else str(first)], how, [_UTC])
    if np.isnat(instant):
        return f"{_shown(first)} looks like a time, and is none: look it up"
    said = datetime.fromtimestamp(int(instant.astype("int64")) / 1e6, UTC)
    return f"{_shown(first)} is {said:%Y-%m-%d %H:%M:%S}{'' if '%' in how else ' UTC'}"


def _by_words(
    column: str, values: Mapping[str, list[Any]], taken: Collection[str], of: str = ""
) -> Guess | None:
    """The highest path whose words and values are those of the column; `of` is what all paths speak of."""
    for path, of_path in sorted(values.items(), key=lambda item: item[0].count(".")):
        known = [v for v in of_path if v not in (None, "")]
        fits = re.search(_WORDS[column], f"{of} {_words(path)}".strip())
        if path in taken or not fits or not _may_be(column, known):
            continue
        paths = _name_parts(path, values) if column == "motorista" else [path]
        shown = f"{len(set(map(str, known)))} different" if COLUMNS[column].personal else _shown(known[0])
        return Guess(column, paths[0], shown, more=tuple(paths[1:]))
    return None


def _may_be(column: str, known: Sequence[Any]) -> bool:
    """Whether values of this look may stand in the column."""
    if not known:
        return False
    if dimension(column):
        return all(map(_is_quantity, known))
    if column in _ONLY_TEXT:
        return all(isinstance(v, str) for v in known) and not _time_format(known)
    if column == "placa_recebida":
        # Where the path says that it is one, neither a blank nor small letters make it a word and a number.
        return any(_is_plate(str(v).replace(" ", "").upper()) for v in known)
    return True  # an id may look like seconds since 1970


def _name_parts(path: str, values: Mapping[str, list[Any]]) -> list[str]:
    """The path, or those of first and last name where the name comes in two."""
    parent = path.rpartition(".")[0]
    beside = [p for p in values if p.rpartition(".")[0] == parent]
    first = [p for p in beside if re.search(r"first|given", _words(p)) and any(values[p])]
    last = [p for p in beside if re.search(r"last|family|sur ?name", _words(p)) and any(values[p])]
    return [first[0], last[0]] if first and last else [path]


def _plates_by_look(found: Proposal, values: Mapping[str, list[Any]]) -> None:
    """A column of plates is one whatever it is called."""
    if "placa_recebida" not in found.guesses and (guess := _plate_by_look(values)):
        found.guesses["placa_recebida"] = guess


def _plate_by_look(values: Mapping[str, list[Any]]) -> Guess | None:
    for path, of_path in values.items():
        known = _known_texts(of_path)
        plates = [v for v in known if _is_plate(v)]
        if known and len(plates) >= _MOST * len(known):
            evidence = f"{len(plates)} of {len(known)} look like plates: {_shown(plates[0])}"
            return Guess("placa_recebida", path, evidence)
    return None


def _plates_in_descriptions(found: Proposal, values: Mapping[str, list[Any]]) -> None:
    """Where no column is one of plates, they may stand among other words in the description."""
    if "placa_recebida" in found.given:
        return
    guess = found.guesses.get("descricao")
    texts = _known_texts(values[guess.path]) if guess else found.descriptions
    plates = [plate for text in texts if (plate := plate_in(text, [(0, len(text))]))]
    if plates and len(plates) >= _MOST * len(texts):
        found.in_description = f"{len(plates)} of {len(texts)} hold one plate: {_shown(plates[0])}"


# --- what other lists say ---------------------------------------------------------------------------------


_OF_LISTS = {
    "veiculo_id": ("vehicle", ("placa_recebida", "descricao", "equipamento", "fuso", "garagem")),
    "motorista_id": ("driver", ("motorista",)),
}


def _add_list(
    found: Proposal, values: Mapping[str, list[Any]], name: str, answer: Any, asked: Collection[str]
) -> None:
    """Take a list of vehicles or drivers as a look-up, or as the vehicles of a fan-out, if it is one."""
    records, unwrap, rows = _records_of(answer, most=None)
    entries = _values(rows)
    texts = {path: _known_texts(of_path) for path, of_path in entries.items()}
    ids = {path: frozenset(known) for path, known in texts.items() if len(set(known)) == len(rows)}
    for by, (of, columns) in _OF_LISTS.items():
        fans_out = by == "veiculo_id" and by not in found.guesses
        vehicle, guess = _asked_for(ids, asked) if fans_out else ("", _shared_id(found, values, by, ids))
        if guess is None:
            continue
        given = found.given
        stamp = {c: g for c in columns if c not in given and (g := _by_words(c, entries, {guess.path}, of))}
        if "placa_recebida" in columns and not {*given, *stamp} & {"placa_recebida"}:
            stamp |= {"placa_recebida": plate} if (plate := _plate_by_look(entries)) else {}
        if "descricao" in stamp:
            found.descriptions = texts[stamp["descricao"].path]
        if fans_out:
            stamp = {by: replace(guess, evidence="the records name no vehicle"), **stamp}
            found.vehicles = Listed(name, by, records, unwrap, guess, stamp, vehicle)
        elif stamp:
            found.lookups.append(Listed(name, by, records, unwrap, guess, stamp))
        return
    found.open.append(f"{name}: no column of it holds the ids of the trips' vehicles or drivers")


def _shared_id(
    found: Proposal, values: Mapping[str, list[Any]], by: str, ids: Mapping[str, frozenset[str]]
) -> Guess | None:
    """The column of a list whose values are those that the trips have in the column `by`."""
    named = set(_known_texts(values[found.guesses[by].path])) if by in found.guesses else set()
    path = max(ids, key=lambda p: (len(ids[p] & named), -p.count(".")), default="")
    shared = len(ids.get(path, named) & named)
    if not path or not named or shared < _MOST * len(named):
        return None
    return Guess(by, path, f"{shared} of the {len(named)} ids in the trips are there")


def _asked_for(ids: Mapping[str, frozenset[str]], asked: Collection[str]) -> tuple[str, Guess | None]:
    """The id of a list that stands in the request, and its column."""
    for path, known in ids.items():
        if (shared := sorted(known & {*asked})) and (_ID.search(_words(path)) or not shared[0].isdigit()):
            return shared[0], Guess("veiculo_id", path, f"the request asks for {shared[0]}")
    return "", None


def _known_texts(values: Sequence[Any]) -> list[str]:
    return [str(v) for v in values if v not in (None, "")]


# --- units ------------------------------------------------------------------------------------------------


_UNIT_WORDS = {
    "m": r"\b(m|meters?|metres?|metros?)\b", "km": r"\b(km|kilometers?|kilometres?|quilometros?)\b",
    "mi": r"\b(mi|miles?|milhas?)\b", "mph": r"\bmph\b", "km/h": r"\b(kmh|kph|km h)\b",
    "knots": r"\b(knots?|kn)\b",
    "ms": r"\b(ms|millis|milliseconds)\b", "s": r"\b(s|sec|secs|seconds|segundos)\b",
    "min": r"\b(min|mins|minutes|minutos)\b", "h": r"\b(h|hours|horas)\b",
}  # fmt: skip


def _guess_units(found: Proposal, values: Mapping[str, list[Any]]) -> None:
    """Give each quantity the unit in which most trips are a bus's."""
    hours = _hours(found, values)

    def read(column: str, unit: str) -> np.ndarray:
        guess = found.guesses[column]
        return read_numbers([_blank(v) for v in values[guess.path]], column, unit, guess.decimal)[0]

    def moved(unit: str) -> np.ndarray:
        return (read("odometro_chegada_km", unit) - read("odometro_saida_km", unit)) / hours

    def speed(unit: str) -> np.ndarray:
        return read("distancia_telemetria_km", unit) / hours

    def highest(unit: str) -> np.ndarray:
        return read("velocidade_maxima_kmh", unit)

    def share(unit: str) -> np.ndarray:
        return read("tempo_conducao_s", unit) / 3600 / hours

    def stood(unit: str) -> np.ndarray:
        return read("tempo_parado_s", unit) / 3600

    metrics: dict[str, tuple[Callable[[str], np.ndarray], tuple[float, float], str]] = {
        "distancia_telemetria_km": (speed, (3, 110), "{:.0f} km/h on average"),
        "velocidade_maxima_kmh": (highest, (20, 140), "{:.0f} km/h at most"),
        "tempo_conducao_s": (share, (0.3, 1.02), "{:.0%} of the time on the road"),
        "tempo_parado_s": (stood, (0.001, 72), "{:.1f} h until the next trip"),
    }
    if {"odometro_saida_km", "odometro_chegada_km"} <= found.guesses.keys():
        for column in ("odometro_saida_km", "odometro_chegada_km"):
            metrics[column] = (moved, (3, 110), "it moves {:.0f} km/h on average")
    for column in ("odometro_saida_km", "odometro_chegada_km"):
        if column in found.guesses and column not in metrics:
            found.guesses[column] = _with_unit_by_name(found, column)
    for column, guess in found.guesses.items():
        texts = map(str, values[guess.path]) if dimension(column) else ()
        if any(re.search(r"^0,|,\d{1,2}(?!\d)", text) for text in texts):
            found.guesses[column] = replace(guess, decimal=",")
    for column, (metric, sane, words) in metrics.items():
        if column in found.guesses:
            found.guesses[column] = _with_unit(found, values, column, metric, sane, words)


def _with_unit(
    found: Proposal,
    values: Mapping[str, list[Any]],
    column: str,
    metric: Callable[[str], np.ndarray],
    sane: tuple[float, float],
    words: str,
) -> Guess:
    """The guess with the unit under which the metric of most trips is sane; the path's words decide ties."""
    guess, tried = found.guesses[column], []
    said = _words(guess.path)
    units = list(UNITS[dimension(column)])
    if all(re.search(r"\d ?[A-Za-z/]+$", str(v)) for v in values[guess.path] if v not in (None, "")):
        units = ["text"]  # the unit stands beside the number
    for unit in units:
        with np.errstate(invalid="ignore", divide="ignore"):
            of_trips = metric(unit)
            fits = float(np.mean((of_trips >= sane[0]) & (of_trips <= sane[1])))
        hinted = bool(re.search(_UNIT_WORDS.get(unit, "$^"), said))
        tried.append((round(fits, 1), hinted, unit, of_trips))
    best = max(tried, key=lambda t: t[:2])
    fits, hinted, unit, of_trips = best
    if fits < 0.5:
        found.open.append(f"{column}: no unit makes most trips a bus's; look it up")
        return guess
    value = words.format(float(np.nanmedian(of_trips)))
    also = [u for f, h, u, _ in tried if u != unit and (f, h) == (fits, hinted)]
    doubt = f"; {' or '.join(also)} would do as well: look it up" if also else ""
    return replace(guess, unit=unit, evidence=f"{guess.evidence}, {value}{doubt}")


def _with_unit_by_name(found: Proposal, column: str) -> Guess:
    """The guess with the unit that its path names; where it names none, that is open."""
    guess = found.guesses[column]
    said = [u for u in UNITS[dimension(column)] if re.search(_UNIT_WORDS.get(u, "$^"), _words(guess.path))]
    if not said:
        found.open.append(f"{column}: of which unit? one reading a trip does not tell; look it up")
        return guess
    return replace(guess, unit=said[0], evidence=f"{guess.evidence}, {said[0]} by its name")


def _hours(found: Proposal, values: Mapping[str, list[Any]]) -> np.ndarray:
    """How long each trip lasted; NaN where that is not known."""
    times = [found.guesses.get(name) for name in ("saida_utc", "chegada_utc")]
    instants = []
    for guess in times:
        if guess is None:
            return np.full(len(found.rows), np.nan)
        read, _ = read_instants(
            [_blank(v) for v in values[guess.path]], found.times, [_UTC] * len(found.rows)
        )
        instants.append(np.where(np.isnat(read), np.nan, read.astype("int64")))
    lasted = (instants[1] - instants[0]) / 3.6e9
    return np.where(lasted > 0, lasted, np.nan)


# --- what is around the records, and what is missing ------------------------------------------------------


def _paging_of(answer: Any) -> dict[str, str]:
    """Signs of further pages outside of the records: path → value."""
    if not isinstance(answer, dict):
        return {}
    around = {path: search(path, answer) for path in _leaves(answer, "")}
    return {
        path: _shown(value)
        for path, value in around.items()
        if re.search(r"next|proxim|cursor|more|mais|total|count|page|pagina|offset|version", _words(path))
    }


def _say_what_is_open(found: Proposal, values: Mapping[str, list[Any]]) -> None:
    for needed in ("veiculo_id", "saida_utc", "chegada_utc"):
        if needed not in found.guesses and not (needed == "veiculo_id" and found.vehicles):
            found.open.append(f"{needed} is needed, and was not found")
    if "chegada_utc" not in found.guesses and names_a_place(values):
        found.open.append("these look like positions, not trips: is there a list of trips?")
    if not {"distancia_telemetria_km", "odometro_saida_km"} & found.guesses.keys():
        found.open.append("a trip needs a distance, reported or by odometer")
    states = [p for p in values if re.search(r"status|state|situacao|ongoing|in progress|active", _words(p))]
    if states:
        shown = sorted({_shown(v) for v in values[states[0]] if v is not None})[:4]
        found.open.append(
            f"does {states[0]} ({', '.join(shown)}) tell a trip that is still running? then say `running:`"
        )
    if found.paging:
        seen = ", ".join(f"{path}: {value}" for path, value in found.paging.items())
        found.open.append(f"paging: the answer holds {seen}")
    else:
        found.open.append("paging: nothing in the answer tells of further pages; look it up")


def decoded(body: bytes) -> Any:
    """The answer's JSON. Raises `NoRecords` for another text."""
    try:
        return json.loads(body)
    except ValueError:
        raise NoRecords("the answer is not JSON: capture the body alone, without headers") from None


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and bool(re.fullmatch(r"-?\d+(\.\d+)?", str(value)))


def _is_quantity(value: Any) -> bool:
    """A number, perhaps with its unit, or a duration as text."""
    return bool(re.fullmatch(r"-?[\d.,:]+ ?[A-Za-z/]{0,4}|P[\dTDHMS.,]+", str(value)))


def _is_plate(value: Any) -> bool:
    text = str(value).strip()
    return plate_in(text, [(0, len(text))]) == text


def _blank(value: Any) -> Any:
    return None if value == "" else value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    text = " ".join(text.split())
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
