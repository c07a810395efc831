"""What a boletim would be told if it landed now, with what the lake knows, if it answers."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from telemetria_pipeline.core.boletim.settings import Reference, RuleSettings
from telemetria_pipeline.core.boletim.validation import FileVerdict, validate_file
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.steps.intake import foresee
from telemetria_pipeline.steps.lake import open_lake
from telemetria_pipeline.steps.reference import read_reference
from telemetria_pipeline.storage.lake import Lake
from telemetria_pipeline.storage.object_store import StorageError


@dataclass(frozen=True)
class Foresight:
    """The lake, None where it cannot be read, and what files are held against.

    `unknown` says, for the sender, what a file was not compared with; None where with all.
    """

    lake: Lake | None
    reference: Reference = field(default_factory=Reference)
    unknown: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Foresight":
        """What the lake of the settings knows now."""
        try:
            lake = open_lake(settings)
            reference = read_reference(lake)
        except StorageError as error:
            said = "o cadastro e os boletins anteriores não foram consultados, o lake não respondeu"
            return cls(None, unknown=f"{said} ({error})")
        tables = {"veículos": reference.vehicles, "motoristas": reference.drivers}
        missing = [name for name, table in tables.items() if table is None]
        said = f"o lake {lake.store.uri()} não tem cadastro de {' nem de '.join(missing)}"
        return cls(lake, reference, said if missing else None)

    def verdict(self, key: str, data: bytes, rules: RuleSettings) -> FileVerdict:
        """The verdict on a file that would land in the inbox under this key; nothing is written."""
        if self.lake:
            return foresee(self.lake, key, data, rules, self.reference)
        today = datetime.now(rules.timezone).date()
        return validate_file(data, PurePosixPath(key).name, received_on=today, settings=rules)
