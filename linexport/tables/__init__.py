"""Tables in and out: CSV, Parquet, Arrow, memory; a batch of rows at a time.

Where reading a table can do without NumPy, it is not imported at the top of a module: to predict
from a file, reading begins before NumPy is loaded, and goes on meanwhile.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
