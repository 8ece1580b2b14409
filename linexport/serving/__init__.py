"""The HTTP inference server: the Open Inference Protocol, and rows as named values.

It is handed models that predict, and never opens one. docs/serving.md describes it for users.
"""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.serving._backlog import Backlog
    from linexport.serving.application import Application
    from linexport.serving.limits import Limits
    from linexport.serving.log import Log
    from linexport.serving.models import Missing, ModelSource, ServedModel
    from linexport.serving.server import run

__all__ = [
    "Application",
    "Backlog",
    "Limits",
    "Log",
    "Missing",
    "ModelSource",
    "ServedModel",
    "run",
]

__getattr__ = lazy_names(  # the server's packages are an extra
    __name__,
    {
        "_backlog": ("Backlog",),
        "application": ("Application",),
        "limits": ("Limits",),
        "log": ("Log",),
        "models": ("Missing", "ModelSource", "ServedModel"),
        "server": ("run",),
    },
)
