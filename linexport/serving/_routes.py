"""Which address answers what.

All models are known, so every address is: the table is a plain dictionary, made anew when a model
is replaced, and no pattern is matched while a request waits.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import NamedTuple

from linexport.serving import _infer, _openapi, _rows
from linexport.serving._http import Answer, Ask, Refusal, encode_json, shortened
from linexport.serving._infer import datatype_of
from linexport.serving._models import ServedModel
from linexport.serving._request import DATATYPES, INPUT, OUTPUT
from linexport.serving._settings import Limits

SERVER_NAME = "linexport"
EXTENSIONS = ["binary_tensor_data"]
SMALL_BYTES = 2**13
"""Of a body that is answered on the event loop; more rows than it holds take over a millisecond,
in which others wait, and a thread is worth its price."""
SMALL_VALUES = 2**9
"""Of its rows and predictions likewise; a value costs up to 0.5 µs to make and write, a row about
as much to read."""
MULTIPLICATIONS = 2**9
"""That cost as much as a value, at four bytes of weights each from memory."""


def _nothing() -> Answer:
    raise AssertionError("asked for with a method that the address does not take")


class Inference(NamedTuple):
    """What an address that predicts does with a POST."""

    model: ServedModel
    ask: Ask
    small_bytes: int
    """Of a body that is answered on the event loop. How many rows it holds is not known before."""


class Route(NamedTuple):
    """What one address does: predict for POST, or else `show` for GET."""

    endpoint: str
    model: str = ""
    """The model's name, empty where the address is not about one."""
    show: Callable[[], Answer] = _nothing
    inference: Inference | None = None
    method: str = "GET"


NOWHERE = Route("unknown", method="")
"""For addresses that are not in the table; it takes no method."""
Routes = Mapping[str, Route]


def all_routes(
    models: Collection[ServedModel],
    *,
    version: str,
    limits: Limits,
    ready: Callable[[], bool],
    metrics: Callable[[], Answer],
) -> Routes:
    """Return every address there is, by path.

    Args:
        models: All that are served.
        version: The server's.
        limits: Of requests.
        ready: Whether the server takes requests.
        metrics: Makes the page of metrics.
    """
    server = _json({"name": SERVER_NAME, "version": version, "extensions": EXTENSIONS})
    live, described = _json({"live": True}), _json(_openapi.document(models, version))

    def health() -> Answer:
        is_ready = ready()
        return _json({"live": True, "ready": is_ready}, 200 if is_ready else 503)

    routes = {
        "/v2": Route("server", show=lambda: server),
        "/v2/health/live": Route("health", show=lambda: live),
        "/v2/health/ready": Route("health", show=health),
        "/openapi.json": Route("docs", show=lambda: described),
        "/metrics": Route("metrics", show=metrics),
    }
    for model in models:
        routes |= _model_routes(model, limits)
    return routes


def _model_routes(model: ServedModel, limits: Limits) -> dict[str, Route]:
    described, ready = _json(_metadata(model)), _json({"name": model.name, "ready": True})
    shape = len(model.predictor.features), len(model.predictor.targets)
    # To encode a row takes over a millisecond: see SMALL_BYTES.
    row_bytes = _rows.row_bytes(model) if model.predictor.encoding is None else 0
    infer, rows = (
        Inference(model, partial(ask, model, limits), small_bytes(row_bytes, *shape))
        for ask, row_bytes in (
            (_infer.ask_infer, _infer.row_bytes(model)),
            (_rows.ask_rows, row_bytes),
        )
    )
    table = {}
    for base in (f"/v2/models/{model.name}", f"/v2/models/{model.name}/versions/{model.version}"):
        table[base] = Route("model", model.name, show=lambda: described)
        table[f"{base}/ready"] = Route("model", model.name, show=lambda: ready)
        table[f"{base}/infer"] = Route("infer", model.name, inference=infer, method="POST")
        table[f"{base}/rows"] = Route("rows", model.name, inference=rows, method="POST")
    return table


def small_bytes(row_bytes: int, num_features: int, num_targets: int) -> int:
    """Return how large a body may be that is answered on the event loop.

    Args:
        row_bytes: The fewest that a row takes.
        num_features: Of the model.
        num_targets: Likewise.
    """
    values = 1 + num_targets * (1 + num_features / MULTIPLICATIONS)
    return min(SMALL_BYTES, int(SMALL_VALUES / values) * row_bytes)


def unknown(path: str, models: Mapping[str, ServedModel]) -> Refusal:
    """Say what is wrong with an address that is not in the table."""
    parts = path.split("/")
    if parts[:3] == ["", "v2", "models"] and len(parts) > 3:
        if parts[3] not in models:
            listed = ", ".join(f"'{name}'" for name in models)
            return Refusal(f"There is no model '{shortened(parts[3])}'; there is {listed}.", 404)
        version = models[parts[3]].version
        if len(parts) > 5 and parts[4] == "versions" and parts[5] != version:
            return Refusal(
                f"Version '{shortened(parts[5])}' of '{parts[3]}' is not served; '{version}' is.",
                404,
            )
    return Refusal("There is nothing at this address; /openapi.json lists what there is.", 404)


def _metadata(model: ServedModel) -> dict[str, object]:
    datatype, encoding = datatype_of(model), model.predictor.encoding
    told: dict[str, object] = {"too_coarse": model.coarse} if model.coarse else {}
    told |= {} if encoding is None else {"encoding": encoding}
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnxruntime_onnx",
        **({"parameters": told} if told else {}),
        "inputs": [
            {
                "name": INPUT,
                "datatype": datatype,
                "shape": [-1, len(model.predictor.features)],
                "parameters": {
                    "columns": model.predictor.features,
                    "accepts": list(DATATYPES),
                    "rounding": f"FP64 and JSON numbers are rounded to the nearest {datatype}"
                    if datatype == "FP32"
                    else "none",
                },
            }
        ],
        "outputs": [
            {
                "name": OUTPUT,
                "datatype": datatype,
                "shape": [-1, len(model.predictor.targets)],
                "parameters": {"columns": model.predictor.targets},
            }
        ],
    }


def _json(document: object, status: int = 200) -> Answer:
    return Answer(status, encode_json(document))
