"""Fit a linear regression, export it, and prove that every runtime predicts the same.

    read_data, synthesize          rows: a table's, or the textbook's
    train, train_and_export        a fit; and its proven bundle
    read_model, export             a linear model from anywhere; and its proven bundle
    verify, inspect                a bundle or an artifact: the proof again, and what it is
    load, predict_table            predictions: for arrays and tables; into files
    record_batch_predictor         predictions from Arrow to Arrow, for Spark, Ray and DuckDB
    serve                          predictions over HTTP

Names are looked up when first asked for, so that `import linexport` costs next to nothing and
predicting with an ONNX artifact never loads PyTorch. `__init__.pyi` is their one table.
"""

from collections.abc import Callable
from typing import Any

import lazy_loader

from linexport._shown import answer_with

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _answer(name: str) -> Callable[..., Any]:
    from linexport import pipeline  # when a value is shown, or predicts by itself

    found: Callable[..., Any] = getattr(pipeline, name)
    return found


answer_with(_answer)
