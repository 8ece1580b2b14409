from ._backlog import Backlog as Backlog
from .application import Application as Application
from .limits import Limits as Limits
from .log import Log as Log
from .models import (
    Missing as Missing,
)
from .models import (
    ModelSource as ModelSource,
)
from .models import (
    ServedModel as ServedModel,
)
from .server import run as run
