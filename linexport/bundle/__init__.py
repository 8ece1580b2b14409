"""The directory on disk that holds a model, its artifacts and their proof.

docs/format.md is normative. Writing is all or nothing: whoever reads the path finds the old bundle
or the new one, also after a kill at any instant or on a full disk. Reading trusts nothing: a
`Bundle` is checked whole before anybody sees it.
"""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.bundle._directory import feature_names
    from linexport.bundle._reader import Bundle, read_bundle
    from linexport.bundle._weights import decode_arrays, decode_weights, encode_weights
    from linexport.bundle._writer import check_destination, write_bundle

__all__ = [
    "Bundle",
    "check_destination",
    "decode_arrays",
    "decode_weights",
    "encode_weights",
    "feature_names",
    "read_bundle",
    "write_bundle",
]

__getattr__ = lazy_names(  # reading does not load what writing needs
    __name__,
    {
        "_directory": ("feature_names",),
        "_reader": ("Bundle", "read_bundle"),
        "_weights": ("decode_arrays", "decode_weights", "encode_weights"),
        "_writer": ("check_destination", "write_bundle"),
    },
)
