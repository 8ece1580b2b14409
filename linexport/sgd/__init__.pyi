from ._config import SGDConfig as SGDConfig
