"""What a run of many partitions finds, as one result a check."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

_NAMED = 5


@dataclass
class Findings:
    """Problems found while a run goes through its partitions: check name → partition → problem in words.

    `partitions` says what these are: hours, days.
    """

    specs: Sequence[dg.AssetCheckSpec]
    partitions: str
    asked: Counter[str] = field(default_factory=Counter)
    problems: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, partition: str, problems: Mapping[str, str | None]) -> None:
        """Take the answers of one partition; None means that the check passed."""
        self.asked.update(problems.keys())
        for name, problem in problems.items():
            if problem:
                self.problems.setdefault(name, {})[partition] = problem

    def results(self, selected: Collection[dg.AssetCheckKey]) -> Iterator[dg.AssetCheckResult]:
        """One result a selected check over all partitions of the run, naming those that fail."""
        for spec in self.specs:
            if spec.key not in selected or not self.asked[spec.name]:
                continue
            failed = self.problems.get(spec.name, {})
            named = [f"{partition}: {problem}" for partition, problem in list(failed.items())[:_NAMED]]
            if len(failed) > len(named):
                named.append(f"and {len(failed) - len(named)} {self.partitions} more")
            yield dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=not failed,
                severity=dg.AssetCheckSeverity.ERROR if spec.blocking else dg.AssetCheckSeverity.WARN,
                description="; ".join(named) or None,
                metadata={
                    self.partitions: self.asked[spec.name],
                    f"{self.partitions}_failed": sorted(failed),
                },
            )
