from ._arrays import (
    as_array as as_array,
)
from ._config import SyntheticConfig as SyntheticConfig
from ._dataset import (
    Dataset as Dataset,
)
from ._dataset import (
    Rows as Rows,
)
from ._inputs import (
    check_test_rows as check_test_rows,
)
from ._inputs import (
    in_memory as in_memory,
)
from ._inputs import (
    training_data as training_data,
)
from ._loaders import (
    Minibatches as Minibatches,
)
from ._loaders import (
    load_array as load_array,
)
from ._ranks import (
    ONE as ONE,
)
from ._ranks import (
    Ranks as Ranks,
)
from ._ranks import (
    open_ranks as open_ranks,
)
from ._splitting import share_dataset as share_dataset
from ._splitting import split as split
from ._synthetic import (
    synthesize as synthesize,
)
from ._synthetic import (
    synthetic_data as synthetic_data,
)
from ._table_rows import (
    TableRows as TableRows,
)
from ._table_rows import (
    training_rows as training_rows,
)
from ._writing import write_dataset as write_dataset
