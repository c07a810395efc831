"""Where every received row went, and what that says of the hour."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Ledger:
    """received = accepted + duplicate + rejected + out_of_window + in_progress, in rows."""

    received: int
    accepted: int
    duplicate: int
    rejected: int
    out_of_window: int
    in_progress: int

    @property
    def unaccounted(self) -> int:
        """Rows that nobody can account for; anything but zero stops the line."""
        return self.received - (
            self.accepted + self.duplicate + self.rejected + self.out_of_window + self.in_progress
        )

    @property
    def state(self) -> str:
        """`open` while trips run, `captured` with rows of its own, else `confirmed_empty`.

        The fourth state, `missing`, is that of an hour without an answer, and so without a ledger.
        """
        if self.in_progress:
            return "open"
        return "captured" if self.accepted or self.rejected else "confirmed_empty"

    def counts(self) -> dict[str, int]:
        """The columns by name."""
        return asdict(self)
