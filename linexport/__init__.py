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

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
