"""From rows to a fit: train() and one module per solver."""
