"""MLServer, which speaks the Open Inference Protocol, with a scikit-learn LinearRegression.

    python mlserver_server.py TABLE.npz DIRECTORY PORT

The table has `features` (N, D) and `targets` (N,); the directory is for MLServer's files. Answers
at /v2/models/model/infer, until it is killed.
"""

import json
import os
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

SETTINGS = {
    "host": "127.0.0.1",
    "debug": False,  # no access log
    "grpc_port": 0,  # any that is free
    "metrics_port": 0,
    "parallel_workers": 0,  # predict where it answers; its workers do not start with uvloop 0.23
}
MODEL = {
    "name": "model",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib"},
}


def main() -> None:
    table, directory, port = sys.argv[1:]
    with np.load(table) as arrays:
        model = LinearRegression().fit(arrays["features"], arrays["targets"])
    os.chdir(directory)
    joblib.dump(model, "model.joblib")
    Path("settings.json").write_text(json.dumps(SETTINGS | {"http_port": int(port)}))
    Path("model-settings.json").write_text(json.dumps(MODEL))
    os.execv(sys.executable, [sys.executable, "-m", "mlserver.cli.main", "start", "."])


if __name__ == "__main__":
    main()
