"""Rows to train on and to predict for: synthetic data, tables, arrays."""
