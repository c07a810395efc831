"""A vehicle's day as a picture: what was declared above, what was measured below, on a clock's axis."""

from collections.abc import Collection
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from telemetria_pipeline.reports.pages import render
from telemetria_pipeline.reports.text import HEARD, clock, number

_WIDTH, _LEFT, _RIGHT = 1_000, 92, 24
_LEAST = timedelta(hours=4)  # a shorter axis would show a short trip larger than it is
_HOUR = timedelta(hours=1)
_LABELLED = 52  # a narrower bar has no room for its kilometres


def day_timeline(
    trips: pd.DataFrame, segments: pd.DataFrame, hours: pd.DataFrame, own: Collection[str], zone: ZoneInfo
) -> str:
    """The picture as an SVG element.

    Args:
        trips: VALIDATED_TRIPS of the vehicle, around the day.
        segments: TRIP_SEGMENTS of the vehicle, likewise.
        hours: `inicio_utc`, `fim_utc`, `estado` of the day's hours; those without telemetry are shaded.
        own: the trips that the picture is about.
        zone: whose clock the axis shows.
    """
    declared = trips[trips["km_declarado"].notna()]
    first, last = _span([*trips["saida_utc"], *segments["saida_utc"]], [*trips["chegada_utc"]], zone)

    def place(instant: datetime) -> float:
        share = (min(max(instant, first), last) - first) / (last - first)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def bars(rows: pd.DataFrame, kilometres: str) -> list[dict[str, object]]:
        found = []
        for row in rows.to_dict("records"):
            left, right = place(row["saida_utc"]), place(row["chegada_utc"])
            width = max(right - left, 3)
            said = f"{clock(row['saida_utc'], zone)} às {clock(row['chegada_utc'], zone)}"
            distance = f"{number(row[kilometres])} km"
            found.append(
                {
                    "x": left,
                    "width": round(width, 1),
                    "own": row["viagem_id"] in own,
                    "said": f"{said}, {distance}",
                    "label": distance if width >= _LABELLED else "",
                }
            )
        return sorted(found, key=lambda bar: bool(bar["own"]))  # its own on top of the others

    silent = hours[~hours["estado"].isin(HEARD)]
    shaded = [
        {"x": place(begin), "width": round(place(end) - place(begin), 1)}
        for begin, end in zip(silent["inicio_utc"], silent["fim_utc"], strict=True)
        if end > first and begin < last
    ]
    step = _HOUR * max(1, round((last - first) / _HOUR / 12))
    ticks = [
        {"x": place(at), "said": clock(at, zone)}
        for at in (first + n * step for n in range(int((last - first) / step) + 1))
    ]
    return render(
        "timeline.svg.j2",
        width=_WIDTH,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        declared=bars(declared, "km_declarado"),
        measured=bars(segments, "km_medido"),
        shaded=shaded,
        ticks=ticks,
    )


def _span(starts: list[datetime], ends: list[datetime], zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From the full hour before the first start to the one after the last end."""
    first = min(starts).astimezone(zone).replace(minute=0, second=0, microsecond=0)
    last = max([*starts, *ends]).astimezone(zone).replace(minute=0, second=0, microsecond=0) + _HOUR
    return first, max(last, first + _LEAST)
