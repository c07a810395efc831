"""`raw_boletins` and `boletim_trips`: what carriers declare, as received and as trips."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from telemetria_pipeline.steps.intake import (
    RAW,
    Judged,
    NotThere,
    StillWritten,
    archive_file,
    judge_file,
    manifest_key,
    receive_file,
)
from telemetria_pipeline.defs.metadata import preview, table_schema
from telemetria_pipeline.defs.reference.assets import drivers, read_reference, vehicles
from telemetria_pipeline.defs.resources import InboxResource, LakeResource
from telemetria_pipeline.defs.boletins import checks
from telemetria_pipeline.contracts.boletim import BOLETIM_TRIPS
from telemetria_pipeline.contracts.raw import FileManifest
from telemetria_pipeline.core.boletim.settings import RuleSettings
from telemetria_pipeline.defs.partitions import BOLETIM_FILES
from telemetria_pipeline.settings import Settings, SettingsError
from telemetria_pipeline.storage.object_store import ObjectStore, StorageError

RAW_BOLETINS = dg.AssetSpec(
    RAW,
    description="A boletim exactly as received, with its manifest: the sender's name for it, hash, verdict, "
    "and where it and its answer lie in the inbox's archive.",
    group_name="boletins",
    owners=["team:data-engineering"],
    kinds={"excel", "csv"},
    code_version="1",
)
BOLETIM = dg.AssetSpec(
    BOLETIM_TRIPS.name,
    deps=[RAW_BOLETINS, vehicles, drivers],
    description="Declared trips: the accepted rows of a boletim; the others lie in the quarantine with "
    "sheet, row, column, reason and fix.",
    group_name="boletins",
    owners=["team:data-engineering"],
    kinds={"parquet", "pandas"},
    code_version="1",
    metadata={"dagster/column_schema": table_schema(BOLETIM_TRIPS)},
)


@dg.multi_asset(
    specs=[RAW_BOLETINS, BOLETIM],
    check_specs=checks.SPECS,
    partitions_def=BOLETIM_FILES,
    # The file leaves the inbox after both: neither is made without the other.
    can_subset=False,
    # One at a time: a file is judged against those that came before it.
    pool="boletins",
)
def boletins(
    context: dg.AssetExecutionContext, lake: LakeResource, inbox: InboxResource
) -> Iterator[dg.MaterializeResult]:
    """Keep a file, decide its verdict, take its rows in, and answer its sender."""
    file, open_lake, open_inbox = context.partition_key, lake.open(), inbox.open()
    try:
        settings = Settings.from_env()
        received = receive_file(open_lake, open_inbox, file)
        judged = judge_file(open_lake, received, RuleSettings.of(settings), read_reference(open_lake))
        manifest = archive_file(open_lake, open_inbox, judged, received.data)
    except (NotThere, SettingsError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except (StillWritten, StorageError) as error:
        raise dg.Failure(str(error)) from None
    context.log.info(f"{manifest.key}: {manifest.verdict}, {manifest.rows}")
    uri = open_lake.store.uri(manifest_key(file))
    raw, trips = _raw_metadata(manifest, uri, open_inbox), _trips_metadata(judged)
    yield dg.MaterializeResult(asset_key=RAW_BOLETINS.key, metadata=raw)
    yield dg.MaterializeResult(
        asset_key=BOLETIM.key, metadata=trips, check_results=list(checks.results(judged.verdict))
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
        "dagster/row_count": judged.written.rows,
        "dagster/uri": judged.written.uri,
        "dagster/column_schema": table_schema(BOLETIM_TRIPS),
        **{f"ledger/{name}": count for name, count in judged.manifest.rows.items()},
        "problems": dg.MetadataValue.md("\n".join(f"- {g.severity}: {g}" for g in verdict.groups) or "–"),
        "preview": preview(verdict.accepted, BOLETIM_TRIPS),
    }
