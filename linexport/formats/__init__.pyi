from ._format import (
    BoundRow as BoundRow,
)
from ._format import (
    Engine as Engine,
)
from ._format import (
    Format as Format,
)
from ._format import (
    Runtime as Runtime,
)
from ._pytorch import (
    Centred as Centred,
)
from ._pytorch import (
    Folded as Folded,
)
from ._pytorch import eager as eager
from ._registry import (
    DEFAULT_FORMATS as DEFAULT_FORMATS,
)
from ._registry import (
    FORMATS as FORMATS,
)
from ._registry import (
    artifact_metadata as artifact_metadata,
)
from ._registry import (
    configured as configured,
)
from ._registry import (
    export as export,
)
from ._registry import (
    of_path as of_path,
)
from ._registry import (
    register as register,
)
