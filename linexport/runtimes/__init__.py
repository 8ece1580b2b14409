"""From files to predictions: open_runtime() and one module per engine."""
