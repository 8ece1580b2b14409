"""Fit a linear regression, export it, and prove that every runtime predicts the same."""
