from ._manifest import (
    CARD_FILE as CARD_FILE,
    CERTIFICATE_FILE as CERTIFICATE_FILE,
    MANIFEST_FILE as MANIFEST_FILE,
    ErrorBudget as ErrorBudget,
    FileRecord as FileRecord,
    Manifest as Manifest,
    Origin as Origin,
    is_bundle as is_bundle,
    read_inputs as read_inputs,
)
from ._reader import (
    Bundle as Bundle,
    bundle_around as bundle_around,
    decode_arrays as decode_arrays,
    exact_origin as exact_origin,
    read_bundle as read_bundle,
)
from ._writer import (
    check_destination as check_destination,
    manifest_of as manifest_of,
    write_bundle as write_bundle,
)
