"""What a table promises: `Column` and `Contract`, and the schemas that are made from them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

LONGEST_TRIP_HOURS = 12
"""No trip lasts longer: what does was typed wrong, and no carrier lists one later than that."""

TEXT = pa.string()
NUMBER = pa.float64()
INSTANT = pa.timestamp("us", tz="UTC")
INTEGER = pa.int64()
FLAG = pa.bool_()
# What is billed is exact: kilometres to the metre, tariffs to a hundredth of a cent, money to the cent.
KM = pa.decimal128(12, 3)
TARIFF = pa.decimal128(10, 4)
MONEY = pa.decimal128(14, 2)
PERCENT = pa.decimal128(5, 2)

_PANDAS_DTYPES = {
    TEXT: "str",
    NUMBER: "float64",
    INSTANT: "datetime64[us, UTC]",
    INTEGER: "int64",
    FLAG: "bool",
}


def _exact(type: pa.DataType) -> pd.ArrowDtype | None:
    return pd.ArrowDtype(type) if pa.types.is_decimal(type) else None


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, whether a value is required, and the bounds that each value keeps."""

    name: str
    type: pa.DataType
    description: str
    required: bool = False
    ge: float | None = None
    le: float | None = None
    pattern: str | None = None
    isin: tuple[str, ...] | None = None
    personal: bool = False  # LGPD: stays out of logs, alerts, metadata and file names
    person: Literal["name", "id"] | None = None  # says who somebody is: in the lake a pseudonym stands for it

    @property
    def pandas_dtype(self) -> str | pd.ArrowDtype:
        """The dtype of this column in a DataFrame under contract; a decimal stays Arrow's."""
        if self.type == INTEGER and not self.required:
            return "Int64"
        return _exact(self.type) or _PANDAS_DTYPES[self.type]

    def promises(self) -> list[str]:
        """The column's rules in words, for a schema that people read."""
        said = ["required"] if self.required else []
        if self.ge is not None:
            said.append(f">= {self.ge:g}")
        if self.le is not None:
            said.append(f"<= {self.le:g}")
        if self.pattern:
            said.append(f"matches {self.pattern}")
        if self.isin:
            said.append("one of " + ", ".join(self.isin))
        return said


@dataclass(frozen=True)
class Contract:
    """A table: its columns in order, and the columns that name a row (`key`, unique when given)."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    def only(self, *names: str) -> "Contract":
        """The same table with no more than these columns."""
        return Contract(self.name, self.description, tuple(c for c in self.columns if c.name in names))

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The schema that the Parquet objects carry."""
        return pa.schema([pa.field(c.name, c.type, nullable=not c.required) for c in self.columns])

    @cached_property
    def pandera_schema(self) -> "DataFrameSchema":
        """The rules that each value keeps; names and dtypes are compared beside it, by `broken_by`.

        A column without a rule is not in it: pandera takes half a millisecond for each. pandera costs 0.6 s
        to import, so only here.
        """
        import pandera.pandas as pa_

        def checks(column: Column) -> list[pa_.Check]:
            found = []
            if column.ge is not None:
                found.append(pa_.Check.ge(column.ge))
            if column.le is not None:
                found.append(pa_.Check.le(column.le))
            if column.pattern:
                found.append(pa_.Check.str_matches(column.pattern))
            if column.isin:
                found.append(pa_.Check.isin(column.isin))
            return found

        return pa_.DataFrameSchema(
            {
                c.name: pa_.Column(None, checks(c), nullable=not c.required)
                for c in self.columns
                if c.promises()
            },
            unique=list(self.key) or None,
            name=self.name,
        )

    def empty(self) -> pd.DataFrame:
        """A frame under this contract without rows."""
        return self._empty.copy(deep=False)

    @cached_property
    def _empty(self) -> pd.DataFrame:
        return pd.DataFrame({c.name: pd.Series(dtype=c.pandas_dtype) for c in self.columns})

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """The frame as an Arrow table with exactly this contract's schema."""
        if frame.empty:
            return self.arrow_schema.empty_table()
        return pa.Table.from_pandas(frame[self.names], schema=self.arrow_schema, preserve_index=False)

    def frame(self, table: pa.Table) -> pd.DataFrame:
        """An Arrow table of this contract, and perhaps more columns, as a DataFrame with exactly the
        contract's columns and dtypes."""
        dtypes = {c.name: c.pandas_dtype for c in self.columns}
        for c in self.columns:
            if c.name not in table.column_names and not c.required:  # written before there was one
                table = table.append_column(c.name, pa.nulls(len(table), c.type))
        whole = table.select(self.names).combine_chunks()  # rows are taken from one piece, not from many
        return whole.to_pandas(types_mapper=_exact, split_blocks=True).astype(dtypes)

    def broken_by(self, frame: pd.DataFrame) -> str | None:
        """How the frame breaks this contract, in words (never a value: it may be personal), or None."""
        if list(frame.columns) != self.names:
            return f"columns {sorted(set(frame.columns) ^ set(self.names)) or 'in another order'}"
        wrong = [c.name for c in self.columns if frame[c.name].dtype != c.pandas_dtype]
        if wrong:
            return "; ".join(f"{name} is {frame[name].dtype}" for name in wrong)
        if frame.empty:
            return None
        import pandera.pandas as pa_

        try:
            self.pandera_schema.validate(frame, lazy=True)
        except pa_.errors.SchemaErrors as error:
            cases = error.failure_cases.groupby(["column", "check"], dropna=False).size()
            return "; ".join(f"{n} rows of {column}: {check}" for (column, check), n in cases.items())
        return None
