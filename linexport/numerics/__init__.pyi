from . import double_double as double_double
from ._affine import (
    Mixed as Mixed,
    Scaled as Scaled,
    Values as Values,
    input_columns as input_columns,
)
from ._bounds import (
    BFLOAT16 as BFLOAT16,
    FLOAT16 as FLOAT16,
    FLOAT32 as FLOAT32,
    FLOAT64 as FLOAT64,
    Affine as Affine,
    Idle as Idle,
    Precision as Precision,
    error_bounds as error_bounds,
    gamma as gamma,
    precision_of as precision_of,
    rounded_once as rounded_once,
    rounded_result as rounded_result,
    rounding_error_bound as rounding_error_bound,
    unit_roundoffs as unit_roundoffs,
)
from ._composed import (
    batch_normalized as batch_normalized,
    exact_map as exact_map,
    linear_model as linear_model,
    rescaled as rescaled,
)
from ._exact_map import ExactMap as ExactMap
from ._explained import (
    Explained as Explained,
    explained as explained,
)
from ._fitness import (
    fitness as fitness,
    narrowest as narrowest,
)
from ._flushing import (
    FlushedToZero as FlushedToZero,
    flushed_to_zero as flushed_to_zero,
)
from ._forms import (
    Form as Form,
    affine_of as affine_of,
    artifact_model as artifact_model,
    assumed_ranges as assumed_ranges,
    coefficients_of as coefficients_of,
    far_corner as far_corner,
    half_widths as half_widths,
    input_rounding as input_rounding,
    largest_distance as largest_distance,
    range_of as range_of,
    raw_coefficients as raw_coefficients,
    rounding_budget as rounding_budget,
    stated_model as stated_model,
)
from ._joined import (
    beside as beside,
    constants as constants,
    summed as summed,
)
from ._own_form import (
    OwnForm as OwnForm,
    Steps as Steps,
)
from ._own_steps import (
    Assumed as Assumed,
    Cast as Cast,
    Numbers as Numbers,
    Plus as Plus,
    Through as Through,
)
from ._rounding import CorrectRounding as CorrectRounding
from .double_double import DoubleDouble as DoubleDouble
