"""By what a table's format is known."""

CSV_DELIMITERS = ",;\t|"
"""That are found in a header without being named."""
TAB_SUFFIXES = (".tsv", ".tab")
CSV_SUFFIXES = (".csv", ".txt", *TAB_SUFFIXES)
PARQUET_SUFFIXES = (".parquet", ".pq")
PARQUET_MAGIC = b"PAR1"
"""The first bytes of a file, and its last."""
