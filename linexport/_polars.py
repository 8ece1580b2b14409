"""polars, as all modules get it."""

import polars as pl

from linexport._interrupts import held, retake

__all__ = ["pl"]

retake()
with held():  # what polars looks up in Python at first use must not fail, or it panics
    pl.Series([0.0]).to_numpy()
    pl.scan_parquet(b"")
