from ._config import LeastSquaresConfig as LeastSquaresConfig
from ._distance import optimum_distances as optimum_distances
from ._merging import merging as merging
from ._solver import (
    optimum as optimum,
)
