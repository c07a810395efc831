"""What a materialisation says of itself in Dagster's UI."""

from typing import Any

import dagster as dg
import pandas as pd

from telemetria_pipeline.steps.hour_ingest import PublishedHour
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.raw import HourManifest
from telemetria_pipeline.contracts.telemetry import TRIPS

_PREVIEW_ROWS = 5


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
        "capture": capture.id,
        "captures_kept": len(manifest.captures),
        "profile": capture.profile,
    }


def trips_metadata(published: PublishedHour, schema: dg.TableSchema) -> dict[str, Any]:
    """Metadata of `telemetry_trips` for one hour."""
    ledger, changes = published.ledger, published.changes
    return {
        "dagster/row_count": published.written.rows,
        "dagster/uri": published.written.uri,
        "dagster/column_schema": schema,
        "hour_state": published.state,
        **{f"ledger/{name}": count for name, count in ledger.counts().items()},
        **{f"changes/{name}": count for name, count in changes.items()},
        "bytes": published.written.bytes,
        "requests": published.capture.requests,
        "retries": published.capture.retries,
        "capture": published.capture.id,
        "km": round(float(published.trips["distancia_km"].sum()), 3),
        "preview": preview(published.trips, TRIPS),
    }
