from ._directory import (
    feature_names as feature_names,
)
from ._directory import (
    is_bundle as is_bundle,
)
from ._manifest import (
    CARD_FILE as CARD_FILE,
)
from ._manifest import (
    CERTIFICATE_FILE as CERTIFICATE_FILE,
)
from ._manifest import (
    MANIFEST_FILE as MANIFEST_FILE,
)
from ._manifest import (
    ErrorBudget as ErrorBudget,
)
from ._manifest import (
    FileRecord as FileRecord,
)
from ._manifest import (
    Manifest as Manifest,
)
from ._reader import (
    Bundle as Bundle,
)
from ._reader import (
    decode_arrays as decode_arrays,
)
from ._reader import (
    read_bundle as read_bundle,
)
from ._writer import (
    check_destination as check_destination,
)
from ._writer import (
    write_bundle as write_bundle,
)
