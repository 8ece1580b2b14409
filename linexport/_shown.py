"""Values that print as the terminal's report, and show and use themselves in a notebook.

A value lies below what renders it, predicts with it and draws it. It asks for these by name, and
the package's door, which is above all, says who answers: `pipeline`.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["Result", "Shown", "answer_with"]

_ANSWERS: list[Callable[[str], Callable[..., Any]]] = []


def answer_with(find: Callable[[str], Callable[..., Any]]) -> None:
    """Say who finds what a value is asked to do: a function of the value, by its name."""
    _ANSWERS[:] = [find]


def _asked(name: str, *given: Any, **options: Any) -> Any:
    return _ANSWERS[0](name)(*given, **options)


class Shown:
    """A value that prints as a report, and is a table in a notebook."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(_asked("shown", self))

    def _repr_html_(self) -> str:
        return str(_asked("shown", self).html)


class Result(Shown):
    """A fit, or what was made of one: it predicts, is judged and is drawn."""

    __slots__ = ()

    def predict(self, features: Any, **options: Any) -> Any:
        """Predict every target for every row, as `Predictor.predict`: (N, D) -> (N, K).

        To predict often, open it once, with `linexport.load`.

        Args:
            features: As `Predictor.predict`: an array, or a table whose columns are found by name.
            options: Likewise.

        Raises:
            DataError: As `Predictor.predict`.
        """
        return _asked("load", self).predict(features, **options)

    def score(self, features: Any, target: Any = None) -> float:
        """Return R2 of predictions; the mean over targets, as scikit-learn's `score`.

        Args:
            features: An array or a table.
            target: Shape (N,) or (N, K); not needed where the table has the targets' columns.

        Raises:
            DataError: If the rows cannot be used, or the truth of a target does not vary.
        """
        return float(_asked("score", self, features, target))

    def summary(self) -> Shown:
        """Return all that is known, to be printed; what the command line prints with -v."""
        summary: Shown = _asked("summarized", self)
        return summary

    def plot(self, data: Any = None) -> list[Any]:
        """Draw what `linexport report` draws, with matplotlib, which `linexport[report]` installs.

        Args:
            data: A table with the features and the targets, for predictions against the truth and
                residuals.

        Returns:
            The axes, one for each drawing; `axes[0].get_figure(root=True)` is the whole.

        Raises:
            UnavailableError: If matplotlib is not installed.
            DataError: If the table cannot be used.
        """
        axes: list[Any] = _asked("drawn", self, data)
        return axes
