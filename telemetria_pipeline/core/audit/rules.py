"""The tolerances of the audit, in one place, with the version that every verdict carries."""

import hashlib
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any, Self

from telemetria_pipeline.contracts.base import LONGEST_TRIP_HOURS
from telemetria_pipeline.settings import Settings
from telemetria_pipeline.version import CODE_VERSION


@dataclass(frozen=True)
class AuditRules:
    """What the audit tolerates; DOMAIN's defaults.

    `km_share` and `km_minimum` must both be exceeded, strictly, for kilometres to diverge; they are defaults,
    for trips whose contract says nothing else (see `tolerances`).
    """

    match_minutes: int = 30  # a declared and a measured trip this far apart may still be one
    km_share: Decimal = Decimal("0.10")
    km_minimum: Decimal = Decimal("1")
    min_coverage: Decimal = Decimal("1")
    max_trip_hours: int = LONGEST_TRIP_HOURS  # longer trips are matched by their first hours

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules as the environment sets them."""
        return cls(
            match_minutes=settings.match_minutes,
            km_share=settings.km_share,
            km_minimum=settings.km_minimum,
            min_coverage=settings.min_coverage,
        )

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Self:
        """What `as_json` said."""
        values: dict[str, Any] = {n: Decimal(v) if isinstance(v, str) else v for n, v in said.items()}
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """The tolerances as JSON knows them; decimals as text."""
        return {n: str(v) if isinstance(v, Decimal) else v for n, v in asdict(self).items()}

    def but(self, **changed: Any) -> Self:
        """The same rules with some tolerances changed."""
        return replace(self, **changed)

    @property
    def percent_units(self) -> int:
        """`km_share` in hundredths of a percent."""
        return int(self.km_share * 10_000)

    @property
    def minimum_m(self) -> int:
        """`km_minimum` in metres."""
        return int(self.km_minimum * 1_000)

    @property
    def version(self) -> str:
        """Code version and a digest of the tolerances, e.g. `1-3f2a9c`."""
        said = ",".join(f"{n}={Decimal(v).normalize():f}" for n, v in asdict(self).items())
        return f"{CODE_VERSION}-{hashlib.blake2b(said.encode(), digest_size=3).hexdigest()}"
