from ._checks import (
    check_missing as check_missing,
)
from ._checks import (
    fault as fault,
)
from ._checks import (
    finite_rows as finite_rows,
)
from ._checks import (
    require_rows as require_rows,
)
from ._names import (
    named_columns as named_columns,
)
from ._names import (
    require_known as require_known,
)
from ._names import (
    require_unique as require_unique,
)
from ._numbers import (
    float64_blocks as float64_blocks,
)
from ._numbers import (
    to_float32 as to_float32,
)
from ._numbers import (
    to_float64 as to_float64,
)
from ._parts import Part as Part
from ._plain import (
    PlainTable as PlainTable,
)
from ._plain import (
    is_plain_name as is_plain_name,
)
from ._plain import (
    read_plain as read_plain,
)
from ._plain import (
    write_plain as write_plain,
)
from ._progress import (
    OnRead as OnRead,
)
from ._progress import (
    ReadProgress as ReadProgress,
)
from ._replacing import (
    SEPARATORS as SEPARATORS,
)
from ._replacing import (
    destination as destination,
)
from ._replacing import (
    unwritable as unwritable,
)
from ._replacing import (
    write_file as write_file,
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
    File as File,
)
from ._tables import (
    Table as Table,
)
from ._tables import (
    open_table as open_table,
)
from ._tensors import tensor_to_numpy as tensor_to_numpy
from ._writing import (
    check_output as check_output,
)
from ._writing import (
    write_table as write_table,
)
