"""MLflow's model server with a scikit-learn LinearRegression.

    python mlflow_server.py TABLE.npz DIRECTORY PORT

The table has `features` (N, D) and `targets` (N,); the directory is for MLflow's files. Answers at
/invocations, until it is killed.
"""

import os
import sys
from pathlib import Path

import mlflow
import numpy as np
from sklearn.linear_model import LinearRegression


def main() -> None:
    table, directory, port = sys.argv[1:]
    with np.load(table) as arrays:
        model = LinearRegression().fit(arrays["features"], arrays["targets"])
    path = Path(directory) / "model"
    mlflow.sklearn.save_model(model, path, serialization_format="cloudpickle")
    serve = ("models", "serve", "--model-uri", str(path), "--env-manager", "local", "--port", port)
    os.chdir(directory)  # where it keeps what else it writes
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # uvicorn is there
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *serve])


if __name__ == "__main__":
    main()
