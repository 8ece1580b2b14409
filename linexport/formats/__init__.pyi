from ._external import (
    External as External,
    ExternalConfig as ExternalConfig,
)
from ._format import (
    BoundRow as BoundRow,
    Engine as Engine,
    Format as Format,
    Runtime as Runtime,
    Statement as Statement,
    stated as stated,
    stating as stating,
)
from ._pytorch import (
    Centred as Centred,
    CentredInFloat64 as CentredInFloat64,
    Folded as Folded,
    FoldedInFloat64 as FoldedInFloat64,
    eager as eager,
)
from ._registry import (
    DEFAULT_FORMATS as DEFAULT_FORMATS,
    FORMATS as FORMATS,
    artifact_metadata as artifact_metadata,
    configured as configured,
    export as export,
    of_path as of_path,
    register as register,
)
