"""What a run of many partitions finds, as one result a check."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import dagster as dg

_NAMED = 5


class Findings:
    """The answers of a run's checks: check name → partition → problem in words, None where it passed.

    Each check is asked of each partition; where one failed before all could be asked, `failed` says so.
    """

    def __init__(self, specs: Sequence[dg.AssetCheckSpec], unit: str, partitions: Sequence[str]) -> None:
        """`unit` is what the run's partitions are: hours, days."""
        self._specs, self._unit, self._partitions = specs, unit, partitions
        self._answers: dict[str, dict[str, str | None]] = {spec.name: {} for spec in specs}
        self._failed: set[str] = set()

    def note(self, partition: str, answers: Mapping[str, str | None]) -> None:
        """Take a partition's answers: check → problem, or None. Raises ValueError for an unknown name."""
        if partition not in self._partitions:
            raise ValueError(f"{partition} is none of the run's {self._unit}")
        if unknown := sorted(answers.keys() - self._answers.keys()):
            raise ValueError(
                f"{partition}: no check is called {', '.join(unknown)}; there are {', '.join(self._answers)}"
            )
        for name, problem in answers.items():
            self._answers[name][partition] = problem

    def failed(self, partition: str, answers: Mapping[str, str | None]) -> None:
        """Take the answers of a partition that failed: of the checks that were asked before, maybe none."""
        self.note(partition, answers)
        self._failed.add(partition)

    def results(self, selected: Collection[dg.AssetCheckKey]) -> Iterator[dg.AssetCheckResult]:
        """One result a selected check over all partitions of the run, naming those with a problem.

        None for a check that no partition came to. Raises ValueError where one was not asked of a partition
        that did not fail.
        """
        for spec in self._specs:
            if spec.key not in selected:
                continue
            answers = self._answers[spec.name]
            if unasked := [p for p in self._partitions if p not in answers and p not in self._failed]:
                raise ValueError(f"{spec.name} was not asked of the {self._unit} {self._named(unasked)}")
            if answers:
                yield self._result(spec, answers)

    def _result(self, spec: dg.AssetCheckSpec, answers: Mapping[str, str | None]) -> dg.AssetCheckResult:
        problems = {partition: problem for partition, problem in answers.items() if problem}
        return dg.AssetCheckResult(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=not problems,
            severity=dg.AssetCheckSeverity.ERROR if spec.blocking else dg.AssetCheckSeverity.WARN,
            description=self._named([f"{p}: {problem}" for p, problem in problems.items()]) or None,
            metadata={self._unit: len(answers), f"{self._unit}_failed": sorted(problems)},
        )

    def _named(self, texts: Sequence[str]) -> str:
        more = [f"and {len(texts) - _NAMED} {self._unit} more"] if len(texts) > _NAMED else []
        return "; ".join([*texts[:_NAMED], *more])
