"""A table in memory, for tests that look at its rows."""

from typing import Any

from linexport.rows import Dataset, EncodingConfig, in_memory, training_rows
from linexport.tables import Table

DROPPING = EncodingConfig(missing=("drop",))


def read_dataset(table: Table, **options: Any) -> Dataset:
    return in_memory(training_rows(table, **options))
