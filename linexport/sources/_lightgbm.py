"""LightGBM has no model that is affine: what is said to whoever passes one."""

from typing import Any, NoReturn

from linexport.errors import ModelError

__all__ = ["read"]


def read(model: Any) -> NoReturn:
    """Refuse a model.

    Raises:
        ModelError: Always.
    """
    raise ModelError(
        f"LightGBM's {type(model).__name__} predicts with trees, which are not affine; also with "
        "linear_tree, where each leaf has a linear model of its own. Fit a linear model, such as "
        "scikit-learn's Ridge."
    )
