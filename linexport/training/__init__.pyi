from ._solvers import (
    SOLVERS as SOLVERS,
    Solver as Solver,
    default_solver as default_solver,
)
from ._state import State as State
from ._train import (
    train as train,
)
