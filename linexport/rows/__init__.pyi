from ._arrays import (
    as_array as as_array,
)
from ._config import SyntheticConfig as SyntheticConfig
from ._dataset import (
    Dataset as Dataset,
    Rows as Rows,
)
from ._inputs import (
    check_test_rows as check_test_rows,
    in_memory as in_memory,
    training_data as training_data,
)
from ._loaders import (
    Minibatches as Minibatches,
    load_array as load_array,
)
from ._ranks import (
    ONE as ONE,
    Ranks as Ranks,
    open_ranks as open_ranks,
)
from ._splitting import share_dataset as share_dataset, split as split
from ._synthetic import (
    synthesize as synthesize,
    synthetic_data as synthetic_data,
)
from ._table_rows import (
    TableRows as TableRows,
    training_rows as training_rows,
)
from ._writing import write_dataset as write_dataset
