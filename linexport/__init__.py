"""Fit a linear regression, export it, and prove that every runtime predicts the same.

Names are looked up when first asked for, so that `import linexport` costs next to nothing and
predicting with an ONNX artifact never loads PyTorch. `__init__.pyi` is their one table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
