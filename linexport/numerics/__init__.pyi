from . import double_double as double_double
from ._affine import (
    Mixed as Mixed,
)
from ._affine import (
    Scaled as Scaled,
)
from ._affine import (
    Values as Values,
)
from ._affine import (
    batch_normalized as batch_normalized,
)
from ._affine import (
    input_columns as input_columns,
)
from ._affine import (
    linear_model as linear_model,
)
from ._affine import (
    rescaled as rescaled,
)
from ._bounds import (
    FLOAT32 as FLOAT32,
)
from ._bounds import (
    FLOAT64 as FLOAT64,
)
from ._bounds import (
    Affine as Affine,
)
from ._bounds import (
    FlushedToZero as FlushedToZero,
)
from ._bounds import (
    Precision as Precision,
)
from ._bounds import (
    error_bounds as error_bounds,
)
from ._bounds import (
    flushed_to_zero as flushed_to_zero,
)
from ._bounds import (
    gamma as gamma,
)
from ._bounds import (
    precision_of as precision_of,
)
from ._bounds import (
    rounded_once as rounded_once,
)
from ._bounds import (
    rounding_error_bound as rounding_error_bound,
)
from ._forms import (
    Form as Form,
)
from ._forms import (
    affine_of as affine_of,
)
from ._forms import (
    artifact_model as artifact_model,
)
from ._forms import (
    input_rounding as input_rounding,
)
from ._forms import (
    raw_coefficients as raw_coefficients,
)
from ._forms import (
    rounding_budget as rounding_budget,
)
from .double_double import DoubleDouble as DoubleDouble
