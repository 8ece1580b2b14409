"""The solvers: what one is, and the table of them all."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from linexport._documented import documented
from linexport._settings import stated
from linexport.errors import ConfigError
from linexport.least_squares import LeastSquaresConfig
from linexport.rows import DataConfig
from linexport.sgd import SGDConfig

if TYPE_CHECKING:
    from linexport.fit import Fit, OnEpoch
    from linexport.rows import Ranks, Rows


@documented
class Solver(Protocol):
    """One way to fit: a settings class, whose fields are its options wherever settings are given.

    It is all that training, the command line, the manifest and the card know of it; `SOLVERS` lists
    it.
    """

    name: ClassVar[str]
    """What train(), --solver and the manifest call it."""
    streams: ClassVar[bool]
    """Whether it takes any rows that can be read again, and heeds their weights; or a Dataset,
    described by the rows of all ranks."""
    exact: ClassVar[bool]
    """Whether it tells itself how far from the least-squares optimum it is."""

    def fit(self, rows: "Rows", *, ranks: "Ranks", on_epoch: "OnEpoch | None") -> "Fit":
        """Fit rows that all ranks hold a share of; the fit is the same on each.

        Args:
            rows: This rank's.
            ranks: Who trains together.
            on_epoch: To be called after each pass over the rows, where there are several.

        Raises:
            DataError: If the rows cannot be used.
            TrainingError: If they do not determine a fit, or it is not found.
        """
        ...


SOLVERS: dict[str, type[Solver]] = {
    solver.name: solver for solver in (LeastSquaresConfig, SGDConfig)
}
"""By name."""


def default_solver(*, textbook: bool) -> str:
    """Name the solver where none is chosen.

    Args:
        textbook: Whether the rows are synthetic, or a DataLoader brings them.
    """
    return SGDConfig.name if textbook else LeastSquaresConfig.name


_OF_TABLES = {
    "dialect", "exclude", "features", "targets", "units", "weights",
    *(each.name for each in stated(DataConfig)),
}  # fmt: skip
"""What `read_data` takes; `test` says what would be missing."""


def solver_of(chosen: Any, rows: "Rows") -> Solver:
    """Return the settings of the solver that was chosen: by name, by its settings or not at all.

    Raises:
        ConfigError: If it is none of SOLVERS.
    """
    if chosen is None:
        parts = (getattr(rows, part, None) for part in ("true_weight", "minibatches"))
        chosen = default_solver(textbook=any(part is not None for part in parts))
    if isinstance(chosen, str) and chosen in SOLVERS:
        return SOLVERS[chosen]()
    if isinstance(chosen, tuple(SOLVERS.values())):
        return cast(Solver, chosen)
    raise ConfigError(
        f"solver must be {' or '.join(map(repr, SOLVERS))}, or its settings, got {chosen!r}."
    )


def where_to_say(unknown: Iterable[str]) -> Exception:
    """Return the error for arguments that `train` does not take: the settings that have them."""
    names = set(unknown)
    for solver in SOLVERS.values():
        if names <= {each.name for each in stated(solver)}:
            given = ", ".join(f"{name}=..." for name in sorted(names))
            return ConfigError(
                f"{' and '.join(sorted(names))} of solver '{solver.name}': write "
                f"train(..., solver=linexport.{solver.__name__}({given}))."
            )
    if names <= _OF_TABLES:
        given = ", ".join(f"{name}=..." for name in sorted({*names, "targets"}))
        return ConfigError(
            f"{' and '.join(sorted(names))} of a table: write "
            f"train(linexport.read_data(table, {given}))."
        )
    known = ", ".join(solver.__name__ for solver in SOLVERS.values())
    return TypeError(
        f"train() takes no {' and '.join(sorted(names))}; a solver's settings are given as "
        f"solver=, which is one of {known}."
    )
