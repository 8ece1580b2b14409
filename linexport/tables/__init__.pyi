from ._checks import (
    MissingInFit as MissingInFit,
)
from ._checks import (
    check_missing as check_missing,
)
from ._checks import (
    finite_rows as finite_rows,
)
from ._checks import (
    named_columns as named_columns,
)
from ._checks import (
    require_known as require_known,
)
from ._checks import (
    require_rows as require_rows,
)
from ._checks import (
    require_unique as require_unique,
)
from ._checks import (
    split_names as split_names,
)
from ._checks import (
    tensor_to_numpy as tensor_to_numpy,
)
from ._opening import (
    File as File,
)
from ._opening import (
    open_table as open_table,
)
from ._sharing import (
    Gather as Gather,
)
from ._sharing import (
    alone as alone,
)
from ._sharing import (
    span as span,
)
from ._tables import (
    Batch as Batch,
)
from ._tables import (
    OnRead as OnRead,
)
from ._tables import (
    ReadProgress as ReadProgress,
)
from ._tables import (
    Table as Table,
)
from ._tables import (
    WrittenRows as WrittenRows,
)
from ._writing import (
    check_output as check_output,
)
from ._writing import (
    write_file as write_file,
)
from ._writing import (
    write_table as write_table,
)
