from ._dialect import (
    Dialect as Dialect,
)
from ._look import (
    EXAMPLES as EXAMPLES,
    MOST_LEVELS as MOST_LEVELS,
    ColumnLook as ColumnLook,
    TableLook as TableLook,
    look as look,
)
from ._memory import table_of as table_of
from ._opening import (
    File as File,
    open_table as open_table,
)
from ._part import (
    Batch as Batch,
    WrittenRows as WrittenRows,
)
from ._sharing import (
    Gather as Gather,
    alone as alone,
    span as span,
)
from ._tables import (
    OnRead as OnRead,
    ReadProgress as ReadProgress,
    Table as Table,
)
from ._writing import (
    check_output as check_output,
    write_file as write_file,
    write_table as write_table,
)
