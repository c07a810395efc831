"""What a source that is down has to say to whom: what is missing, and which boletins stand in for it."""

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import groupby

from telemetria_pipeline.alerts.alert import Alert
from telemetria_pipeline.business_calendar import Hour
from telemetria_pipeline.core.boletim.correction import day_ranges
from telemetria_pipeline.core.sheets.text import joined
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.hours import Sources
from telemetria_pipeline.steps.outages import SourceState, source_states
from telemetria_pipeline.storage.lake import Lake

_NAMED = 12  # plates


def alerts_of_sources(
    lake: Lake, sources: Sources, settings: Settings, standing: Collection[str], now: datetime
) -> Iterator[Alert]:
    """For each source that it is down, or that it answers; `standing`: the keys of what was said to stand."""
    down = [name for name in sources if _key(name) in standing]
    for state in source_states(lake, sources, settings, down, now):
        yield _down(state) if state.hours else _back(state)


def _key(source: str) -> str:
    return f"outage {source}"


def _down(state: SourceState) -> Alert:
    days = day_ranges({str(hour.day) for hour in state.hours})
    plates = [*state.plates[:_NAMED]]
    if len(state.plates) > _NAMED:
        plates.append(f"mais {len(state.plates) - _NAMED}")
    vehicles = f"dos veículos {joined(plates)}" if plates else "dos veículos desta fonte"
    lines = [
        f"Faltam: {_listed(state)}.",
        f"Motivo: {state.why}." if state.why else "",
        f"Por favor, envie os boletins de {days} {vehicles}.",
        "Quando a fonte voltar, as horas são buscadas sozinhas.",
    ]
    subject = f"{state.source}: {_count(state)} sem telemetria"
    return Alert("outage", _key(state.source), subject, "\n".join(filter(None, lines)), "begun")


def _back(state: SourceState) -> Alert:
    return Alert(
        "outage",
        _key(state.source),
        f"{state.source}: a telemetria voltou",
        "As horas que faltavam são buscadas sozinhas, e os dias são auditados de novo.",
        "over",
    )


def _count(state: SourceState) -> str:
    return "1 hora" if len(state.hours) == 1 else f"{len(state.hours)} horas"


def _listed(state: SourceState) -> str:
    """`10/03, das 07:00 às 10:00 e das 12:00 às 13:00`, day by day."""
    said = []
    for day, of_day in groupby(state.hours, key=lambda hour: hour.day):
        spans: list[list[Hour]] = []
        for hour in of_day:
            if spans and spans[-1][-1].end == hour.start:
                spans[-1].append(hour)
            else:
                spans.append([hour])
        said.append(
            f"{day:%d/%m}, " + joined([f"das {s[0].start:%H:%M} às {s[-1].end:%H:%M}" for s in spans])
        )
    return "; ".join(said)
