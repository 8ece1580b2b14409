from ._models import ServedModel as ServedModel
from ._settings import (
    Limits as Limits,
    ServeConfig as ServeConfig,
)
from ._workers import run as run
