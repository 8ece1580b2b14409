from ._config import (
    DataConfig as DataConfig,
    SyntheticConfig as SyntheticConfig,
)
from ._dataset import (
    Dataset as Dataset,
    NoRowsError as NoRowsError,
    Rows as Rows,
    require_rows as require_rows,
    share_dataset as share_dataset,
    split as split,
    test_places as test_places,
    write_dataset as write_dataset,
)
from ._encoding import (
    in_order_of_levels as in_order_of_levels,
    require_reference as require_reference,
    taken_as_categories as taken_as_categories,
)
from ._inputs import (
    as_array as as_array,
    check_test_rows as check_test_rows,
    in_memory as in_memory,
    training_data as training_data,
    with_units as with_units,
)
from ._loaders import (
    Minibatches as Minibatches,
    load_array as load_array,
)
from ._missing import (
    by_column as by_column,
    said_of_columns as said_of_columns,
)
from ._ranks import (
    ONE as ONE,
    Ranks as Ranks,
    open_ranks as open_ranks,
)
from ._row_numbers import (
    counting as counting,
    sentinels as sentinels,
    totals as totals,
)
from ._synthetic import (
    synthesize as synthesize,
    synthetic_data as synthetic_data,
)
from ._table_rows import (
    TableRows as TableRows,
    training_rows as training_rows,
)
