"""`raw_boletins` and `boletim_trips`: what carriers declare, as received and as trips."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.inbox import FILES_A_RUN
from telemetria_pipeline.core.boletim.settings import RuleSettings
from telemetria_pipeline.defs.boletins import checks
from telemetria_pipeline.defs.failures import failures_end_the_run, log_failure, run_failure
from telemetria_pipeline.defs.findings import Findings
from telemetria_pipeline.defs.metadata import asset_facts, materialization, preview, written_metadata
from telemetria_pipeline.defs.partitions import BOLETIM_FILES
from telemetria_pipeline.defs.reference.assets import drivers, vehicles
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.boletim_files import RAW, manifest_key
from telemetria_pipeline.steps.intake import Judged, take_files
from telemetria_pipeline.steps.reference import read_reference
from telemetria_pipeline.steps.staleness import days_too_old
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import ObjectStore

RAW_BOLETINS = dg.AssetSpec(
    RAW,
    description="A boletim exactly as received, with its manifest: the sender's name for it, hash, verdict, "
    "and where it and its answer lie in the inbox's archive.",
    skippable=True,
    **asset_facts("boletins", kinds=("excel", "csv")),
)
BOLETIM = dg.AssetSpec(
    BOLETIM_TRIPS.name,
    deps=[RAW_BOLETINS, vehicles, drivers],
    description="Declared trips: the accepted rows of a boletim; the others lie in the quarantine with "
    "sheet, row, column, reason and fix.",
    skippable=True,
    **asset_facts("boletins", BOLETIM_TRIPS),
)


@dg.multi_asset(
    specs=[RAW_BOLETINS, BOLETIM],
    check_specs=checks.SPECS,
    partitions_def=BOLETIM_FILES,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=FILES_A_RUN[0]),
    # The file leaves the inbox after both: neither is made without the other.
    can_subset=False,
    # The lake's lock keeps the steps apart: the runs of one instance need not wait for it in workers.
    pool="boletins",
)
def boletins(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> Iterator[dg.AssetCheckResult]:
    """Keep a file, decide its verdict, take its rows in, and answer its sender; file by file.

    A file that fails costs only itself: each is reported as soon as it is done, and the run fails at the end
    if any of them did.
    """
    files, failures = list(context.partition_keys), dict[str, Exception]()
    findings = Findings(checks.SPECS, "files", files)
    with failures_end_the_run():
        settings, lake, inbox = pipeline.load(), pipeline.lake(), pipeline.inbox()
        outcomes = take_files(lake, inbox, files, RuleSettings.of(settings), read_reference(lake))
        for outcome in outcomes:
            if outcome.error:
                failures[outcome.file] = outcome.error
                findings.failed(outcome.file, {})
                log_failure(context, outcome.file, outcome.error)
            elif outcome.judged:
                findings.note(outcome.file, checks.answers(outcome.judged.verdict))
                _say(context, outcome.judged.manifest, settings)
                for event in _events(outcome.judged, lake, inbox):
                    context.log_event(event)
    yield from findings.results(context.selected_asset_check_keys)
    if failures:
        raise run_failure(failures, len(files), "files")


def _say(context: dg.AssetExecutionContext, manifest: FileManifest, settings: Settings) -> None:
    context.log.info(f"{manifest.key}: {manifest.verdict}, {manifest.rows}")
    if old := days_too_old(settings, map(date.fromisoformat, manifest.indexed), datetime.now(UTC)):
        context.log.warning(
            f"{manifest.key} declares {len(old)} days more than {settings.audit_days} days old "
            f"(TELEMETRIA_AUDIT_DAYS), from {min(old)} on, which are not audited again by themselves: run "
            "audit_job for those that matter"
        )


def _events(judged: Judged, lake: Lake, inbox: ObjectStore) -> Iterator[dg.AssetMaterialization]:
    """What Dagster records of a file."""
    manifest, version = judged.manifest, judged.manifest.sha256[:16]
    raw = _raw_metadata(manifest, lake.store.uri(manifest_key(manifest.file)), inbox)
    yield materialization(RAW_BOLETINS.key, manifest.file, raw, version)
    yield materialization(BOLETIM.key, manifest.file, _trips_metadata(judged), version)


def _raw_metadata(manifest: FileManifest, uri: str, inbox: ObjectStore) -> dict[str, Any]:
    return {
        "verdict": manifest.verdict,
        "dagster/uri": uri,
        "inbox_key": manifest.key,
        "bytes": manifest.size,
        "sha256": manifest.sha256,
        "received_at": manifest.received_at.isoformat(),
        "answer": inbox.uri(manifest.answer or ""),
        "archived": inbox.uri(manifest.archived or ""),
        **({"duplicate_of": manifest.duplicate_of} if manifest.duplicate_of else {}),
        **({"replaces": manifest.replaces} if manifest.replaces else {}),
        **({"replaced_by": manifest.replaced_by} if manifest.replaced_by else {}),
    }


def _trips_metadata(judged: Judged) -> dict[str, Any]:
    verdict = judged.verdict
    return {
        "verdict": verdict.verdict,
        **written_metadata(judged.written, BOLETIM_TRIPS),
        **{f"ledger/{name}": count for name, count in judged.manifest.rows.items()},
        "problems": dg.MetadataValue.md("\n".join(f"- {g.severity}: {g}" for g in verdict.groups) or "–"),
        "preview": preview(verdict.accepted, BOLETIM_TRIPS),
    }
