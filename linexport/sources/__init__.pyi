from ._found import Imported as Imported
from ._reading import (
    read_model as read_model,
)
from ._reading import (
    read_reference as read_reference,
)
from ._registry import (
    Source as Source,
)
from ._registry import (
    made_by as made_by,
)
from ._registry import (
    register as register,
)
from ._registry import (
    source_files as source_files,
)
