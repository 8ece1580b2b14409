from ._pickles import is_saved_by_torch as is_saved_by_torch
from ._reading import (
    Imported as Imported,
    exact_function as exact_function,
    names_of as names_of,
    read_model as read_model,
    read_reference as read_reference,
)
from ._registry import (
    Source as Source,
    is_source_file as is_source_file,
    made_by as made_by,
    register as register,
    source_files as source_files,
)
