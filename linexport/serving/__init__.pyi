from ._limits import Limits as Limits
from ._models import (
    ServedModel as ServedModel,
)
from ._settings import ServeConfig as ServeConfig
from ._workers import run as run
