"""tract, an inference engine in Rust, from Python.

Run by `linexport verify BUNDLE --external` with
'python examples/runtimes/tract_predict.py {model} {input} {output}'.
"""

import sys
from importlib.metadata import version

import numpy as np
import tract

model, given, wanted = sys.argv[1:]
try:
    runnable = tract.onnx().load(model).into_model().into_runnable()
    (answer,) = runnable.run([np.load(given)])
except tract.TractError as error:  # its causes, the first last, and then where in its sources
    causes, _, _ = str(error).partition("Stack backtrace:")
    sys.exit(causes.strip().splitlines()[-1])
np.save(wanted, answer.to_numpy())
print("tract", version("tract"))
