"""Rows to train on and to predict for: synthetic data, tables, arrays.

Names are imported when first asked for, so that arrays do not pay for polars, nor tables for
torch. Where reading a table can do without NumPy, it is not imported at the top of a module: to
predict from a file, reading begins before NumPy is loaded, and goes on meanwhile.
"""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.data.arrays import as_array, as_dataset
    from linexport.data.dataset import Dataset, Rows
    from linexport.data.loaders import load_array
    from linexport.data.plain import PlainTable, read_plain
    from linexport.data.progress import OnRead, ReadProgress
    from linexport.data.replacing import write_file
    from linexport.data.rows import TableRows, read_dataset, read_rows, training_rows
    from linexport.data.sharing import Gather, alone, describe_all, share_dataset
    from linexport.data.splitting import split
    from linexport.data.synthetic import synthesize, synthetic_data
    from linexport.data.tables import Batch, File, Table, open_table
    from linexport.data.writing import write_dataset, write_table

__all__ = [
    "Batch",
    "Dataset",
    "File",
    "Gather",
    "OnRead",
    "PlainTable",
    "ReadProgress",
    "Rows",
    "Table",
    "TableRows",
    "alone",
    "as_array",
    "as_dataset",
    "describe_all",
    "load_array",
    "open_table",
    "read_dataset",
    "read_plain",
    "read_rows",
    "share_dataset",
    "split",
    "synthesize",
    "synthetic_data",
    "training_rows",
    "write_dataset",
    "write_file",
    "write_table",
]

__getattr__ = lazy_names(
    __name__,
    {
        "arrays": ("as_array", "as_dataset"),
        "dataset": ("Dataset", "Rows"),
        "loaders": ("load_array",),
        "plain": ("PlainTable", "read_plain"),
        "progress": ("OnRead", "ReadProgress"),
        "replacing": ("write_file",),
        "rows": ("TableRows", "read_dataset", "read_rows", "training_rows"),
        "sharing": ("Gather", "alone", "describe_all", "share_dataset"),
        "splitting": ("split",),
        "synthetic": ("synthesize", "synthetic_data"),
        "tables": ("Batch", "File", "Table", "open_table"),
        "writing": ("write_dataset", "write_table"),
    },
)
