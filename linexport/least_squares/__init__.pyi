from ._config import LeastSquaresConfig as LeastSquaresConfig
from ._distances import optimum_distances as optimum_distances
from ._exact_sums import (
    ExactSums as ExactSums,
    gathered as gathered,
)
from ._possible import are_possible as are_possible
from ._solver import optimum as optimum
from ._summed import SummedRows as SummedRows
from ._summing import (
    OutOfRangeError as OutOfRangeError,
    Summing as Summing,
)
