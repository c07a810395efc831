"""`vehicles`, `drivers` and `contracts`: the reference tables, read from `reference/` in the lake."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import dagster as dg
import pandas as pd

from telemetria_pipeline.defs.metadata import preview, table_schema
from telemetria_pipeline.defs.resources import LakeResource
from telemetria_pipeline.defs.reference import checks
from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.reference import CONTRACTS, DRIVERS, VEHICLES
from telemetria_pipeline.core.boletim.settings import Reference
from telemetria_pipeline.core.reference import ReferenceTable, read_contracts, read_drivers, read_vehicles
from telemetria_pipeline.settings import SettingsError
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import StorageError

FOLDER = "reference"
_SUFFIXES = (".csv", ".xlsx")
_NAMED = 10


class NoReferenceFile(Exception):
    """There is no file for the table, or there are two."""


def _asset(
    contract: Contract, read: Callable[[bytes, str], ReferenceTable], about: str
) -> dg.AssetsDefinition:
    @dg.asset(
        name=contract.name,
        description=f"{contract.description} {about} Read from `{FOLDER}/{contract.name}.csv` or `.xlsx` in "
        "the lake. A file with any problem is refused whole, and the earlier table stays.",
        group_name="reference",
        owners=["team:data-engineering"],
        kinds={"parquet", "pandas"},
        code_version="1",
        metadata={"dagster/column_schema": table_schema(contract)},
        check_specs=[checks.kept_its_rows(contract.name)],
    )
    def reference_table(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        try:
            open_lake = lake.open()
            key = reference_file(open_lake, contract.name)
            data = open_lake.store.get(key)
            found = read(data, PurePosixPath(key).name)
            if found.problems:
                raise _refused(contract, open_lake.store.uri(key), found.problems)
            before = _keys(open_lake, contract)
            written = open_lake.write_table(contract.name, {}, contract.table(found.frame))
        except (SettingsError, NoReferenceFile) as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        except StorageError as error:
            raise dg.Failure(str(error)) from None
        for note in found.notes:
            context.log.warning(note)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": written.rows,
                "dagster/uri": written.uri,
                "dagster/column_schema": table_schema(contract),
                "source": open_lake.store.uri(key),
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": written.bytes,
                "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in found.notes) or "–"),
                "preview": preview(found.frame, contract),
            },
            check_results=[checks.result(contract.name, before, set(found.frame[contract.key[0]]))],
        )

    return reference_table


vehicles = _asset(VEHICLES, read_vehicles, "Boletins are held against it: plates, fleet numbers, time zones.")
drivers = _asset(DRIVERS, read_drivers, "The names in boletins are held against it.")


contracts = _asset(
    CONTRACTS,
    read_contracts,
    "Trips are priced by it, each by its own day. No two rows are for one vehicle and day.",
)


@dataclass(frozen=True)
class ReferenceTables:
    """The reference tables, each under its contract; None where it was never made."""

    vehicles: pd.DataFrame | None
    drivers: pd.DataFrame | None
    contracts: pd.DataFrame | None


def read_tables(lake: Lake) -> ReferenceTables:
    """All that is known of vehicles, drivers and contracts."""
    return ReferenceTables(_table(lake, VEHICLES), _table(lake, DRIVERS), _table(lake, CONTRACTS))


def read_reference(lake: Lake) -> Reference:
    """What boletins are held against."""
    return Reference(vehicles=_table(lake, VEHICLES), drivers=_table(lake, DRIVERS))


def _table(lake: Lake, contract: Contract) -> pd.DataFrame | None:
    found = lake.read_table(contract.name, {})
    return None if found is None else contract.frame(found)


def reference_file(lake: Lake, name: str) -> str:
    """The key of the file that the table `name` is made from.

    Raises `NoReferenceFile` where there is none, or where there are two and nobody can say which counts.
    """
    wanted = [f"{FOLDER}/{name}{suffix}" for suffix in _SUFFIXES]
    there = [info.key for info in lake.store.list(FOLDER)]
    found = [key for key in there if key.lower() in wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise NoReferenceFile(f"{' and '.join(map(lake.store.uri, found))} are both there; keep only one")
    beside = f" (there is {', '.join(PurePosixPath(key).name for key in there[:_NAMED])})" if there else ""
    raise NoReferenceFile(
        f"{lake.store.uri(wanted[0])} is not there{beside}; put the table there, as CSV or as .xlsx, "
        f"and materialise {name} again"
    )


def _refused(contract: Contract, uri: str, problems: list[str]) -> dg.Failure:
    more = f" … and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return dg.Failure(
        f"{uri} was refused, and {contract.name} stays as it was; correct the file and materialise "
        f"{contract.name} again. {len(problems)} problem(s): {' | '.join(problems[:_NAMED])}{more}",
        metadata={"problems": dg.MetadataValue.md("\n".join(f"- {said}" for said in problems))},
        allow_retries=False,
    )


def _keys(lake: Lake, contract: Contract) -> set[str]:
    table = lake.read_table(contract.name, {}, [contract.key[0]])
    return set() if table is None else set(table[contract.key[0]].to_pylist())
