"""What an asset and its materialisations say of themselves in Dagster's UI."""

from collections.abc import Collection
from functools import cache
from typing import Any

import dagster as dg
import pandas as pd

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.raw import Capture, HourManifest
from telemetria_pipeline.contracts.telemetry import TRIPS
from telemetria_pipeline.steps.publish import PublishedHour
from telemetria_pipeline.storage.lake import Written
from telemetria_pipeline.version import CODE_VERSION

_PREVIEW_ROWS = 5


def asset_facts(
    group: str, contract: Contract | None = None, kinds: Collection[str] = ("parquet", "pandas")
) -> dict[str, Any]:
    """What every asset says of itself: group, owners, kinds, code version, and the columns of its table."""
    return {
        "group_name": group,
        "owners": ["team:data-engineering"],
        "kinds": set(kinds),
        "code_version": CODE_VERSION,
        **({"metadata": {"dagster/column_schema": table_schema(contract)}} if contract else {}),
    }


def written_metadata(written: Written, contract: Contract) -> dict[str, Any]:
    """Metadata of a partition that was written."""
    return {
        "dagster/row_count": written.rows,
        "dagster/uri": written.uri,
        "dagster/column_schema": table_schema(contract),
        "bytes": written.bytes,
    }


def materialization(
    asset: dg.AssetKey, partition: str, metadata: dict[str, Any], data_version: str
) -> dg.AssetMaterialization:
    """One partition of a run of many, to be logged from inside its step.

    Dagster adds the versions to a result that a step yields, not to an event that it logs.
    """
    return dg.AssetMaterialization(
        asset,
        partition=partition,
        metadata=metadata,
        tags={"dagster/code_version": CODE_VERSION, "dagster/data_version": data_version},
    )


@cache
def table_schema(contract: Contract) -> dg.TableSchema:
    """Dagster's column schema of a contract."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                c.name,
                str(c.type),
                c.description,
                dg.TableColumnConstraints(
                    nullable=not c.required, other=[p for p in c.promises() if p != "required"]
                ),
            )
            for c in contract.columns
        ]
    )


def preview(frame: pd.DataFrame, contract: Contract) -> dg.MarkdownMetadataValue:
    """The first rows without personal data, as Markdown."""
    shown = [c.name for c in contract.columns if not c.personal]
    return dg.MetadataValue.md(markdown_table(frame[shown].head(_PREVIEW_ROWS)))


def markdown_table(frame: pd.DataFrame) -> str:
    """The frame as Markdown, empty where there is no value."""
    columns = [frame[name].tolist() for name in frame.columns]
    rows = [["" if pd.isna(v) else str(v) for v in row] for row in zip(*columns, strict=True)]
    lines = [list(frame.columns), ["---"] * len(frame.columns), *rows]
    return "\n".join("| " + " | ".join(v.replace("|", "¦") for v in line) + " |" for line in lines)


def _skipped(capture: Capture) -> str:
    said = [f"{v.id} ({v.reason})" for v in capture.skipped]
    return f"{len(said)}, whose trips are not known: " + "; ".join(said[:20])


def raw_metadata(manifest: HourManifest, uri: str) -> dict[str, Any]:
    """Metadata of `raw_telemetry` for one hour."""
    capture = manifest.captures[-1]
    return {
        "dagster/row_count": capture.rows,
        "dagster/uri": uri,
        "hour_state": manifest.state,
        "requests": capture.requests,
        "retries": capture.retries,
        "bytes": capture.bytes,
        "pages": len(capture.pages),
        **({"records_left_out": left_out} if (left_out := sum(p.left_out for p in capture.pages)) else {}),
        **({"vehicles_skipped": _skipped(capture)} if capture.skipped else {}),
        "capture": capture.id,
        "captures_kept": len(manifest.captures),
        "profile": capture.profile,
    }


def trips_metadata(published: PublishedHour) -> dict[str, Any]:
    """Metadata of `telemetry_trips` for one hour."""
    ledger, changes = published.ledger, published.changes
    return {
        **written_metadata(published.written, TRIPS),
        "hour_state": published.state,
        **{f"ledger/{name}": count for name, count in ledger.counts().items()},
        **{f"changes/{name}": count for name, count in changes.items()},
        "requests": published.capture.requests,
        "retries": published.capture.retries,
        "capture": published.capture.id,
        "km": round(float(published.trips["distancia_km"].sum()), 3),
        "preview": preview(published.trips, TRIPS),
    }
