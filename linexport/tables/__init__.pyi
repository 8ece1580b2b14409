from ._checks import (
    MissingInFit as MissingInFit,
    check_missing as check_missing,
    finite_rows as finite_rows,
    named_columns as named_columns,
    require_known as require_known,
    require_rows as require_rows,
    require_unique as require_unique,
    split_names as split_names,
    tensor_to_numpy as tensor_to_numpy,
)
from ._opening import (
    File as File,
    open_table as open_table,
)
from ._sharing import (
    Gather as Gather,
    alone as alone,
    span as span,
)
from ._tables import (
    Batch as Batch,
    OnRead as OnRead,
    ReadProgress as ReadProgress,
    Table as Table,
    WrittenRows as WrittenRows,
)
from ._writing import (
    check_output as check_output,
    write_file as write_file,
    write_table as write_table,
)
