"""Devices of two vehicles that were exchanged: for a day two plates carry each other's odometer series.

    plate   declared odometers     readings that came under it
    A       45,210 to 45,390       80,100 to 80,260
    B       80,101 to 80,259       45,212 to 45,388

Their segments of that day are given to the other plate before anything is matched. Days, vehicles and sources
are whole numbers in here.
"""

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from telemetria_pipeline.core.audit.days import day_numbers
from telemetria_pipeline.core.audit.rules import AuditRules
from telemetria_pipeline.core.audit.substitutions import seconds_in_common
from telemetria_pipeline.core.audit.timeline import Axis, microseconds, sorting
from telemetria_pipeline.core.telemetry.odometer import MAX_KM_A_DAY

NEAR_KM = 5
"""An odometer that goes on where another one's readings are is no further from them."""
FAR_KM = 50
"""One that does not belong to a series is further from it."""

_SERIES = ["day", "source", "vehicle"]
_PAIR = [*_SERIES, "other"]
_SAID_KM = ["km_saida", "km_chegada"]
_EPOCH = date(1970, 1, 1)
_MANY_DAYS = 100_000  # more than there are from the epoch on


@dataclass(frozen=True)
class Swaps:
    """Which devices were exchanged.

    pairs: `dia`, `fonte`, `veiculo`, `outro` (text; a row in each direction), `de_km`, `ate_km` (the readings
        that came under `veiculo`), `pelo_boletim` (flag): the sheets say it; else telemetry alone.
    really: the vehicle of each segment, where devices were exchanged the one that it was.
    in_doubt: two odometers may have changed places between two of the days, or were exchanged: what comes
        later of the days around may say more of it.
    """

    pairs: pd.DataFrame
    really: pd.Series
    in_doubt: bool


def find_swaps(
    declared: pd.DataFrame,
    said: pd.Series,
    segments: pd.DataFrame,
    heard: pd.Series,
    days: tuple[date, date],
    rules: AuditRules,
    zone: ZoneInfo,
) -> Swaps:
    """The pairs of plates whose devices were exchanged, day by day.

    By the boletim: most odometers that are declared of each lie near the readings under the other's plate and
    far from those under its own. By telemetry: from one day to the next each one's readings go on under the
    other's plate and not under its own, and the hours that are declared of each are those of the other's
    segments. A plate that would be of two pairs is of none.

    Args:
        declared: `saida_utc`, `chegada_utc`, `km_saida`, `km_chegada`; `said`: the plate of the vehicle that
            is said to have run each.
        segments: under contract SEGMENTS, and `fonte`; `heard`: the vehicle of each.
        days: the first and the last day that are asked about; a day beside them is looked at.
        rules: how long a trip is at most.
        zone: the contract's; days are cut in it.
    """
    vehicle, vehicles = pd.factorize(pd.concat([said, heard], ignore_index=True))
    source, sources = pd.factorize(segments["fonte"])
    first, last = ((day - _EPOCH).days for day in days)
    trips = declared[["saida_utc", "chegada_utc", *_SAID_KM]].assign(
        day=day_numbers(declared["saida_utc"], zone), vehicle=vehicle[: len(declared)]
    )
    seen = pd.DataFrame(
        {
            "day": day_numbers(segments["saida_utc"], zone),
            "source": source,
            "vehicle": vehicle[len(declared) :],
            "saida_utc": segments["saida_utc"].array,
            "chegada_utc": segments["chegada_utc"].array,
            "out_km": segments["odometro_saida_km"].array,
            "in_km": segments["odometro_chegada_km"].array,
        },
        copy=False,
    )
    good = segments["situacao_odometro"] == "ok"
    known = segments["odometro_saida_km"].notna() & segments["odometro_chegada_km"].notna()
    series = _series(seen[(good & known).to_numpy()], len(sources))
    broken = _broken(series)
    trips = trips[trips["day"].between(first, last)]
    by_sheet = _by_sheets(trips, series)
    by_telemetry = _in_the_hours_of_the_other(_change_places(broken, NEAR_KM), trips, seen, rules)
    found = pd.concat([by_sheet.assign(by_sheet=True), by_telemetry.assign(by_sheet=False)])
    found = found.drop_duplicates(_PAIR)
    found = _both_ways(found[~found.duplicated(_SERIES, keep=False)])
    found = found.merge(series, on=_SERIES).sort_values(["day", "source", "vehicle"], ignore_index=True)
    pairs = pd.DataFrame(
        {
            "dia": pd.Series([str(np.datetime64(day, "D")) for day in found["day"]], dtype="str"),
            "fonte": pd.Series(sources.take(found["source"].to_numpy(np.int64)), dtype="str"),
            "veiculo": pd.Series(vehicles.take(found["vehicle"].to_numpy(np.int64)), dtype="str"),
            "outro": pd.Series(vehicles.take(found["other"].to_numpy(np.int64)), dtype="str"),
            "de_km": found["least_km"],
            "ate_km": found["most_km"],
            "pelo_boletim": found["by_sheet"].astype(bool),
        }
    )
    in_doubt = len(found) > 0 or len(_change_places(broken, MAX_KM_A_DAY)) > 0
    really = heard
    if len(found):
        other = seen[_SERIES].merge(found[_PAIR], how="left", on=_SERIES)["other"]
        really = pd.Series(
            vehicles.take(other.fillna(seen["vehicle"]).to_numpy(np.int64)), heard.index, dtype="str"
        )
    return Swaps(pairs.sort_values(["dia", "fonte", "veiculo"], ignore_index=True), really, in_doubt)


def _series(readings: pd.DataFrame, sources: int) -> pd.DataFrame:
    """Of each day, source and vehicle (`_SERIES`): least and greatest, first and last reading."""
    device = readings["vehicle"].to_numpy() * sources + readings["source"].to_numpy()
    departures = microseconds(readings["saida_utc"])
    order = sorting(Axis(departures).at(device, departures), readings, ["out_km", "in_km"])
    device, day = device[order], readings["day"].to_numpy()[order]
    begin = np.flatnonzero((np.diff(device, prepend=-1) != 0) | (np.diff(day, prepend=0) != 0))
    out_km, in_km = (readings[name].to_numpy()[order] for name in ("out_km", "in_km"))
    return pd.DataFrame(
        {
            **{name: readings[name].to_numpy()[order[begin]] for name in _SERIES},
            "least_km": np.minimum.reduceat(out_km, begin) if len(begin) else out_km,
            "most_km": np.maximum.reduceat(in_km, begin) if len(begin) else in_km,
            "first_km": out_km[begin],
            "last_km": in_km[np.append(begin, len(order))[1:] - 1],
        }
    )


def _by_sheets(trips: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    """The pairs (`_PAIR`, both ways) that the declared odometers show."""
    own = _of_vehicle_days(trips)[["vehicle_day", *_SAID_KM]].merge(
        _of_vehicle_days(series).assign(number=np.arange(len(series))), on="vehicle_day"
    )
    least, most = own["least_km"], own["most_km"]
    far = {name: (own[name] < least - FAR_KM) | (own[name] > most + FAR_KM) for name in _SAID_KM}
    number = own["number"].to_numpy()
    readings_far = sum(np.bincount(number, one, len(series)) for one in far.values())
    strange = readings_far > np.bincount(number, minlength=len(series))  # most of the two of each trip
    few = np.flatnonzero(strange[number])  # only these meet each other
    said = pd.concat([own.take(few).assign(km=own[name].take(few), far=far[name].take(few)) for name in far])
    ranges = series[strange][[*_SERIES, "least_km", "most_km"]].rename(columns={"vehicle": "other"})
    both = said[[*_SERIES, "km", "far"]].merge(ranges, on=["day", "source"])
    near = (both["km"] >= both["least_km"] - NEAR_KM) & (both["km"] <= both["most_km"] + NEAR_KM)
    share = (near & both["far"]).groupby([both[name] for name in _PAIR]).mean()
    return _both_ways(share[share > 0.5].index.to_frame(index=False))


def _of_vehicle_days(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with one number for vehicle and day: rows meet by it in a third of the time."""
    return rows.assign(vehicle_day=rows["vehicle"] * _MANY_DAYS + rows["day"])


def _broken(series: pd.DataFrame) -> pd.DataFrame:
    """The odometers that do not go on from one day (its `last_km`) to the next (`day`, its `first_km`)."""
    eve = series[[*_SERIES, "last_km"]].assign(day=series["day"] + 1)
    own = eve.merge(series[[*_SERIES, "first_km"]], on=_SERIES)
    return own[(own["first_km"] - own["last_km"]).abs() > FAR_KM]


def _change_places(broken: pd.DataFrame, unseen_km: float) -> pd.DataFrame:
    """The pairs (`_PAIR`, both ways) of which each one's odometer goes on under the other, so many km further
    at most; of both days."""
    pairs = broken.merge(
        broken.rename(columns={"vehicle": "other"}), on=["day", "source"], suffixes=("", "_other")
    )
    goes_on = (pairs["first_km"] - pairs["last_km_other"]).between(-NEAR_KM, unseen_km)
    after = _both_ways(pairs.loc[goes_on & (pairs["vehicle"] != pairs["other"]), _PAIR])
    return pd.concat([after, after.assign(day=after["day"] - 1)]).drop_duplicates()


def _in_the_hours_of_the_other(
    pairs: pd.DataFrame, trips: pd.DataFrame, seen: pd.DataFrame, rules: AuditRules
) -> pd.DataFrame:
    """Those of the pairs of which each one's declared trips are in the hours of the other one's segments."""
    if pairs.empty:
        return pairs
    asked = pairs.merge(trips, on=["day", "vehicle"])

    def in_common(whose: str) -> pd.Series:
        segments = seen.rename(columns={"vehicle": "of"})
        keys = ["day", "source"]
        both = asked.merge(segments, left_on=[*keys, whose], right_on=[*keys, "of"], suffixes=("", "_seen"))
        return seconds_in_common(both, rules).groupby([both[name] for name in _PAIR]).sum()

    other, own = in_common("other"), in_common("vehicle")
    fits = other > own.reindex(other.index, fill_value=0)
    return _both_ways(fits[fits].index.to_frame(index=False))


def _both_ways(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs that stand in both directions."""
    turned = pairs[_PAIR].rename(columns={"vehicle": "other", "other": "vehicle"})
    return pairs.merge(turned, on=_PAIR)
