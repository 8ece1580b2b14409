"""Tables in and out: CSV, Parquet, Arrow, memory; a batch of rows at a time."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
