"""`raw_boletins` and `boletim_trips`: what carriers declare, as received and as trips."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.settings import RuleSettings
from telemetria_pipeline.defs.boletins import checks
from telemetria_pipeline.defs.failures import failures_end_the_run
from telemetria_pipeline.defs.metadata import asset_facts, preview, written_metadata
from telemetria_pipeline.defs.partitions import BOLETIM_FILES
from telemetria_pipeline.defs.reference.assets import drivers, vehicles
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.steps.boletim_files import RAW, manifest_key
from telemetria_pipeline.steps.intake import Judged, archive_file, judge_file, receive_file
from telemetria_pipeline.steps.reference import read_reference
from telemetria_pipeline.steps.staleness import days_too_old
from telemetria_pipeline.storage.object_store import ObjectStore

RAW_BOLETINS = dg.AssetSpec(
    RAW,
    description="A boletim exactly as received, with its manifest: the sender's name for it, hash, verdict, "
    "and where it and its answer lie in the inbox's archive.",
    **asset_facts("boletins", kinds=("excel", "csv")),
)
BOLETIM = dg.AssetSpec(
    BOLETIM_TRIPS.name,
    deps=[RAW_BOLETINS, vehicles, drivers],
    description="Declared trips: the accepted rows of a boletim; the others lie in the quarantine with "
    "sheet, row, column, reason and fix.",
    **asset_facts("boletins", BOLETIM_TRIPS),
)


@dg.multi_asset(
    specs=[RAW_BOLETINS, BOLETIM],
    check_specs=checks.SPECS,
    partitions_def=BOLETIM_FILES,
    # The file leaves the inbox after both: neither is made without the other.
    can_subset=False,
    # The lake's lock keeps the steps apart: the runs of one instance need not wait for it in workers.
    pool="boletins",
)
def boletins(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> Iterator[dg.MaterializeResult]:
    """Keep a file, decide its verdict, take its rows in, and answer its sender."""
    file = context.partition_key
    with failures_end_the_run():
        settings, lake, inbox = pipeline.load(), pipeline.lake(), pipeline.inbox()
        received = receive_file(lake, inbox, file)
        judged = judge_file(lake, received, RuleSettings.of(settings), read_reference(lake))
        manifest = archive_file(lake, inbox, judged, received.data)
    context.log.info(f"{manifest.key}: {manifest.verdict}, {manifest.rows}")
    if old := days_too_old(settings, map(date.fromisoformat, manifest.indexed), datetime.now(UTC)):
        context.log.warning(
            f"{manifest.key} declares {len(old)} days more than {settings.audit_days} days old "
            f"(TELEMETRIA_AUDIT_DAYS), from {min(old)} on, which are not audited again by themselves: run "
            "audit_job for those that matter"
        )
    version = dg.DataVersion(manifest.sha256[:16])
    raw = _raw_metadata(manifest, lake.store.uri(manifest_key(file)), inbox)
    yield dg.MaterializeResult(asset_key=RAW_BOLETINS.key, metadata=raw, data_version=version)
    yield dg.MaterializeResult(
        asset_key=BOLETIM.key,
        metadata=_trips_metadata(judged),
        data_version=version,
        check_results=list(checks.results(judged.verdict)),
    )


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
