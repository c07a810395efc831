"""`validated_trips`, `daily_km` and `divergences`: both sides of each business day."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.audit import DAILY_KM, DIVERGENCES, VALIDATED_TRIPS, VERDICTS
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.reference import CONTRACTS, DRIVERS, VEHICLES
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.core.exact import units
from telemetria_pipeline.defs.audit import checks
from telemetria_pipeline.defs.failures import log_failure, run_failure
from telemetria_pipeline.defs.findings import Findings
from telemetria_pipeline.defs.metadata import markdown_table, preview, table_schema
from telemetria_pipeline.defs.partitions import DAILY
from telemetria_pipeline.defs.resources import LakeResource
from telemetria_pipeline.reports.plots import at_stake_by_carrier, declared_and_measured, markdown_image
from telemetria_pipeline.reports.text import brl
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.steps.audit_day import AuditedDay, DayRefused, audit_day
from telemetria_pipeline.storage.object_store import StorageError

_DEAREST = 10
_OURS = (DayRefused, StorageError, SettingsError)
_Said = dict[str, dict[str, Any]]  # a day's metadata: asset → name → value


def _spec(contract: Contract, deps: list[Any]) -> dg.AssetSpec:
    return dg.AssetSpec(
        contract.name,
        deps=deps,
        description=contract.description,
        group_name="audit",
        owners=["team:data-engineering"],
        kinds={"parquet", "pandas"},
        code_version="1",
        metadata={"dagster/column_schema": table_schema(contract)},
    )


_SPECS = [
    _spec(
        VALIDATED_TRIPS,
        [
            # The day's own hours. It looks at those of a day around, too, and to say so of hours that do not
            # exist yet takes an option in beta.
            TRIPS.name,
            dg.AssetDep(BOLETIM_TRIPS.name, partition_mapping=dg.AllPartitionMapping()),
            VEHICLES.name,
            DRIVERS.name,
            CONTRACTS.name,
        ],
    ),
    _spec(DAILY_KM, [VALIDATED_TRIPS.name]),
    _spec(DIVERGENCES, [VALIDATED_TRIPS.name, CONTRACTS.name]),
]


@dg.multi_asset(
    specs=_SPECS,
    check_specs=checks.SPECS,
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=62),
    # They are one reckoning: none is made without the others.
    can_subset=False,
    # One at a time: of two audits of a day, the one that read first must not be the one that writes last.
    pool="audit",
)
def audit(
    context: dg.AssetExecutionContext, lake: LakeResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Audit the run's days one by one. A day that fails costs only itself; the run fails at the end."""
    try:
        open_lake, settings = lake.open(), Settings.from_env()
    except (SettingsError, StorageError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    findings, failures, done = Findings(checks.SPECS, "days"), dict[str, Exception](), dict[str, _Said]()
    for key in context.partition_keys:
        try:
            audited = audit_day(open_lake, date.fromisoformat(key), settings)
            findings.note(key, _answers(audited))
            done[key] = _metadata(audited, settings)
        except Exception as error:  # whatever it is, the other days go on; the run fails at the end
            failures[key] = error
            if isinstance(error, DayRefused):
                findings.note(key, {error.check: error.problem})
            log_failure(context, key, error, _OURS)
    told = [(name, key, metadata) for key, said in done.items() for name, metadata in said.items()]
    for name, key, metadata in told:
        if failures:  # Dagster records no result of a failed run; an event, if a result is yielded after it
            context.log_event(dg.AssetMaterialization(name, partition=key, metadata=metadata))
        else:
            context.add_asset_metadata(metadata, asset_key=name, partition_key=key)
    yield from findings.results(context.selected_asset_check_keys)
    if failures:
        raise run_failure(failures, len(context.partition_keys), "days", _OURS)
    for spec in _SPECS:
        yield dg.MaterializeResult(asset_key=spec.key)


def _answers(audited: AuditedDay) -> dict[str, str | None]:
    """What the checks say of a day that was written; had it broken a blocking one, it would not be."""
    trips = audited.trips
    unknown = trips.loc[~trips["veiculo_conhecido"] & trips["placa"].notna(), "placa"]
    strangers = sorted(unknown.unique()) if audited.vehicles_known else []
    return {
        checks.CONTRACT_HOLDS.name: None,
        checks.KM_CONSERVED.name: None,
        checks.COVERAGE.name: checks.coverage(audited.hours_missing),
        checks.KNOWN_VEHICLES.name: checks.known_vehicles(strangers),
    }


def _metadata(audited: AuditedDay, settings: Settings) -> _Said:
    trips, km, divergences = audited.trips, audited.km, audited.divergences
    verdicts = trips["veredito"].value_counts()
    return {
        VALIDATED_TRIPS.name: {
            **_of_table(audited, VALIDATED_TRIPS, trips),
            **{f"km/{side}": _km(trips[f"km_{side}"]) for side in ("declarado", "medido", "auditado")},
            **{f"trips/{verdict}": int(verdicts.get(verdict, 0)) for verdict in VERDICTS},
            "hours_missing": audited.hours_missing,
        },
        DAILY_KM.name: {
            **_of_table(audited, DAILY_KM, km),
            **{
                f"km/{name.removeprefix('km_')}": _km(km[name])
                for name in ("km_odometro", "km_telemetria", "km_medido", "km_declarado", "km_auditado")
            },
            "vehicles_without_data": int(km["sem_dados"].sum()),
        },
        DIVERGENCES.name: {
            **_of_table(audited, DIVERGENCES, divergences),
            **{f"at_stake/{verdict}": _at_stake(divergences, verdict) for verdict in VERDICTS[1:]},
            "dearest": dg.MetadataValue.md(_dearest(divergences)),
            "plots": dg.MetadataValue.md(_plots(audited)),
        },
    }


def _of_table(audited: AuditedDay, contract: Contract, frame: pd.DataFrame) -> dict[str, Any]:
    written = audited.written[contract.name]
    return {
        "dagster/row_count": written.rows,
        "dagster/uri": written.uri,
        "dagster/column_schema": table_schema(contract),
        "bytes": written.bytes,
        "preview": preview(frame, contract),
    }


def _km(column: pd.Series) -> float:
    return int(units(column).sum()) / 1_000


def _at_stake(divergences: pd.DataFrame, verdict: str) -> str:
    cents = units(divergences.loc[divergences["veredito"] == verdict, "valor_brl"]).sum()
    return brl(Decimal(int(cents)).scaleb(-2))


def _dearest(divergences: pd.DataFrame) -> str:
    """What a person looks at first: the day's dearest, in the order of their rank."""
    shown = ["posicao", "tipo", "veredito", "veiculo", "transportadora", "valor_brl", "frase"]
    rows = divergences.sort_values("posicao")[shown].head(_DEAREST)
    return markdown_table(rows.assign(valor_brl=[brl(value) for value in rows["valor_brl"]]))


def _plots(audited: AuditedDay) -> str:
    return "\n\n".join(
        [
            markdown_image(declared_and_measured(audited.trips), "Km declarado e medido"),
            markdown_image(at_stake_by_carrier(audited.divergences), "R$ em jogo por transportadora"),
        ]
    )
