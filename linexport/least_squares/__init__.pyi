from ._config import LeastSquaresConfig as LeastSquaresConfig
from ._distance import (
    ARRIVED as ARRIVED,
)
from ._distance import (
    Coefficientwise as Coefficientwise,
)
from ._distance import (
    gap as gap,
)
from ._distance import (
    optimum_distances as optimum_distances,
)
from ._distance import (
    resolved_standard_errors as resolved_standard_errors,
)
from ._distance import (
    tolerance as tolerance,
)
from ._merging import merge_all as merge_all
from ._solver import (
    Optimum as Optimum,
)
from ._solver import (
    fit_least_squares as fit_least_squares,
)
from ._solver import (
    optimum as optimum,
)
