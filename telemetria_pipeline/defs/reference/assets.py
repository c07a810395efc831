"""The reference tables (`vehicles`, `drivers`, `contracts` ...), read from `reference/` in the lake."""

from collections.abc import Callable

import dagster as dg

from telemetria_pipeline.contracts import Contract
from telemetria_pipeline.contracts.reference import ACCEPTANCES, CONTRACTS, DRIVERS, SUBSTITUTIONS, VEHICLES
from telemetria_pipeline.core.reference import (
    ReferenceTable,
    read_acceptances,
    read_contracts,
    read_drivers,
    read_substitutions,
    read_vehicles,
)
from telemetria_pipeline.defs.failures import failures_end_the_run
from telemetria_pipeline.defs.metadata import asset_facts, preview, written_metadata
from telemetria_pipeline.defs.reference import checks
from telemetria_pipeline.defs.resources import PipelineResource
from telemetria_pipeline.steps.reference import FOLDER, ReferenceRefused, refresh_table


def _asset(
    contract: Contract, read: Callable[[bytes, str], ReferenceTable], about: str
) -> dg.AssetsDefinition:
    @dg.asset(
        name=contract.name,
        description=f"{contract.description} {about} Read from `{FOLDER}/{contract.name}.csv` or `.xlsx` in "
        "the lake. A file with any problem is refused whole, and the earlier table stays.",
        check_specs=[checks.kept_its_rows(contract.name)],
        **asset_facts("reference", contract),
    )
    def reference_table(
        context: dg.AssetExecutionContext, pipeline: PipelineResource
    ) -> dg.MaterializeResult:
        with failures_end_the_run():
            try:
                made = refresh_table(pipeline.lake(), contract, read, pipeline.load().pseudonyms)
            except ReferenceRefused as error:
                problems = "\n".join(f"- {said}" for said in error.problems)
                raise dg.Failure(
                    str(error), metadata={"problems": dg.MetadataValue.md(problems)}, allow_retries=False
                ) from None
        for note in made.table.notes:
            context.log.warning(note)
        return dg.MaterializeResult(
            metadata={
                **written_metadata(made.written, contract),
                "source": made.source,
                "sha256": made.sha256,
                "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in made.table.notes) or "–"),
                "preview": preview(made.table.frame, contract),
            },
            check_results=[checks.result(contract.name, made.before, made.now)],
            data_version=dg.DataVersion(made.sha256[:16]),
        )

    return reference_table


vehicles = _asset(VEHICLES, read_vehicles, "Boletins are held against it: plates, fleet numbers, time zones.")
drivers = _asset(DRIVERS, read_drivers, "The names in boletins are held against it.")
contracts = _asset(
    CONTRACTS,
    read_contracts,
    "Trips are priced by it, each by its own day. No two rows are for one vehicle and day.",
)
substitutions = _asset(
    SUBSTITUTIONS,
    read_substitutions,
    "A declared trip is the vehicle's that ran. Without a file nobody ran in another's place.",
)
acceptances = _asset(
    ACCEPTANCES,
    read_acceptances,
    "Without a file nothing is accepted.",
)
