"""A table in memory, for tests that look at its rows."""

from typing import Any

from linexport.rows import DataConfig, Dataset, in_memory, training_rows
from linexport.tables import Table

DROPPING = DataConfig(missing=("drop",))


def read_dataset(table: Table, **options: Any) -> Dataset:
    return in_memory(training_rows(table, **options))
