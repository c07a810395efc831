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
from telemetria_pipeline.contracts.reference import ACCEPTANCES, CONTRACTS, DRIVERS, SUBSTITUTIONS, VEHICLES
from telemetria_pipeline.core.audit.movements import disagreements
from telemetria_pipeline.core.audit.staleness import digest as digest_of
from telemetria_pipeline.core.exact import units
from telemetria_pipeline.defs.audit import checks
from telemetria_pipeline.defs.failures import failures_end_the_run, log_failure, run_failure
from telemetria_pipeline.defs.findings import Findings
from telemetria_pipeline.defs.metadata import (
    asset_facts,
    markdown_table,
    materialization,
    preview,
    written_metadata,
)
from telemetria_pipeline.defs.partitions import DAILY
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.defs.telemetry.assets import trips_key
from telemetria_pipeline.reports.plots import at_stake_by_carrier, declared_and_measured, markdown_image
from telemetria_pipeline.reports.text import brl
from telemetria_pipeline.steps.audit_day import AuditedDay, audit_day
from telemetria_pipeline.steps.hours import Sources
from telemetria_pipeline.steps.publish import TablesRefused

_SHOWN = 10
_Metadata = dict[str, dict[str, Any]]  # of a day: asset → name → value


def audit_assets(sources: Sources) -> dg.AssetsDefinition:
    """The three daily tables. They are made in one step: none is made without the others."""
    specs = [
        _spec(
            VALIDATED_TRIPS,
            [
                # The day's own hours. It looks at those of a day around, too, and to say so of hours that do
                # not exist yet takes an option in beta.
                *map(trips_key, sources),
                dg.AssetDep(BOLETIM_TRIPS.name, partition_mapping=dg.AllPartitionMapping()),
                VEHICLES.name,
                DRIVERS.name,
                CONTRACTS.name,
                SUBSTITUTIONS.name,
                ACCEPTANCES.name,
            ],
        ),
        _spec(DAILY_KM, [VALIDATED_TRIPS.name]),
        _spec(DIVERGENCES, [VALIDATED_TRIPS.name, CONTRACTS.name]),
    ]

    @dg.multi_asset(
        name="audit",
        specs=specs,
        check_specs=checks.SPECS,
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=62),
        can_subset=False,
        # One at a time: of two audits of a day, the one that read first must not be the one that writes last.
        pool="audit",
    )
    def audit(
        context: dg.AssetExecutionContext, pipeline: PipelineResource
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """Audit the run's days one by one. A day that fails costs only itself; the run fails at the end."""
        with failures_end_the_run():
            lake, settings = pipeline.lake(), pipeline.load()
        findings, failures = Findings(checks.SPECS, "days", context.partition_keys), dict[str, Exception]()
        done = dict[str, tuple[str, _Metadata]]()
        for key in context.partition_keys:
            try:
                audited = audit_day(lake, date.fromisoformat(key), settings)
                findings.note(key, _answers(audited))
                done[key] = audited.digest, _metadata(audited)
            except Exception as error:  # whatever it is, the other days go on; the run fails at the end
                failures[key] = error
                findings.failed(key, {error.check: error.problem} if isinstance(error, TablesRefused) else {})
                log_failure(context, key, error)
        for key, (digest, of_assets) in done.items():
            for name, metadata in of_assets.items():
                if failures:  # Dagster records no result of a failed run, but what was logged in it
                    context.log_event(materialization(dg.AssetKey(name), key, metadata, digest))
                else:
                    context.add_asset_metadata(metadata, asset_key=name, partition_key=key)
        yield from findings.results(context.selected_asset_check_keys)
        if failures:
            raise run_failure(failures, len(context.partition_keys), "days")
        # Of a range, one version stands for all of its days.
        version = dg.DataVersion(digest_of(f"{key} {day_digest}" for key, (day_digest, _) in done.items()))
        for spec in specs:
            yield dg.MaterializeResult(asset_key=spec.key, data_version=version)

    return audit


def _spec(contract: Contract, deps: list[Any]) -> dg.AssetSpec:
    return dg.AssetSpec(
        contract.name,
        deps=deps,
        description=contract.description,
        **asset_facts("audit", contract),
    )


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
        checks.KNOWN_SOURCES.name: checks.known_sources(audited.unknown_sources),
        checks.SOURCES_AGREE.name: checks.sources_agree(disagreements(trips)),
    }


def _metadata(audited: AuditedDay) -> _Metadata:
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
            "highest_value": dg.MetadataValue.md(_highest(divergences)),
            "plots": dg.MetadataValue.md(_plots(audited)),
        },
    }


def _of_table(audited: AuditedDay, contract: Contract, frame: pd.DataFrame) -> dict[str, Any]:
    return {**written_metadata(audited.written[contract.name], contract), "preview": preview(frame, contract)}


def _km(column: pd.Series) -> float:
    return int(units(column).sum()) / 1_000


def _at_stake(divergences: pd.DataFrame, verdict: str) -> str:
    cents = units(divergences.loc[divergences["veredito"] == verdict, "valor_brl"]).sum()
    return brl(Decimal(int(cents)).scaleb(-2))


def _highest(divergences: pd.DataFrame) -> str:
    """What a person looks at first: the day's highest values, in the order of their rank."""
    shown = ["posicao", "tipo", "veredito", "veiculo", "transportadora", "valor_brl", "frase"]
    rows = divergences.sort_values("posicao")[shown].head(_SHOWN)
    return markdown_table(rows.assign(valor_brl=[brl(value) for value in rows["valor_brl"]]))


def _plots(audited: AuditedDay) -> str:
    return "\n\n".join(
        [
            markdown_image(declared_and_measured(audited.trips), "Km declarado e medido"),
            markdown_image(at_stake_by_carrier(audited.divergences), "R$ em jogo por transportadora"),
        ]
    )
