from ._models import ServedModel as ServedModel
from ._server import run as run
from ._settings import (
    Limits as Limits,
    ServeConfig as ServeConfig,
)
