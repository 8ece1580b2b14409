from ._reading import (
    Imported as Imported,
)
from ._reading import (
    read_model as read_model,
)
from ._reading import (
    read_reference as read_reference,
)
