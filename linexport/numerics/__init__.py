"""Error bounds, double-double arithmetic, affine maps, forms of a model: NumPy only."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
