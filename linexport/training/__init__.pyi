from ._metrics import (
    evaluate as evaluate,
)
from ._solvers import (
    SOLVERS as SOLVERS,
)
from ._solvers import (
    Solver as Solver,
)
from ._solvers import (
    default_solver as default_solver,
)
from ._train import (
    train as train,
)
