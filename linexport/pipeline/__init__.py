"""The public verbs, each composing the layers below; loaded when called for.

Predicting and inspecting do not import torch, so the verbs live in modules of their own.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
