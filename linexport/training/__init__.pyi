from ._solvers import (
    SOLVERS as SOLVERS,
    Solver as Solver,
    default_solver as default_solver,
)
from ._train import (
    train as train,
)
