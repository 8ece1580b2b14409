"""The HTTP inference server: the Open Inference Protocol, and rows as named values.

It is handed models that predict, and never opens one. docs/serving.md describes it for users.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
