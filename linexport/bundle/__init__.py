"""The directory on disk that holds a model, its artifacts and their proof.

docs/format.md is normative. Writing is all or nothing: whoever reads the path finds the old bundle
or the new one, also after a kill at any instant or on a full disk. Reading trusts nothing: a
`Bundle` is checked whole before anybody sees it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
