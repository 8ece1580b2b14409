"""Rows to train on: in memory, as a stream, synthetic; splitting, and sharing among ranks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
