from ._config import LeastSquaresConfig as LeastSquaresConfig
from ._solver import (
    optimum as optimum,
    optimum_distances as optimum_distances,
)
