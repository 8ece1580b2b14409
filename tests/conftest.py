"""One profile for every property test: the same examples on every run, no wall-clock limits."""

from hypothesis import settings

settings.register_profile("linexport", deadline=None, derandomize=True, database=None)
settings.load_profile("linexport")
