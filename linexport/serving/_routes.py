"""Which address answers what.

All models are known, so every address is: the table is a plain dictionary, made anew when a model
is replaced, and no pattern is matched while a request waits.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from linexport.errors import shortened
from linexport.serving import _infer, _openapi as api, _rows
from linexport.serving._http import Answer, Ask, Refusal, encode_json
from linexport.serving._infer import datatype_of
from linexport.serving._metrics import Metrics
from linexport.serving._models import ServedModel
from linexport.serving._openapi import Document
from linexport.serving._request import DATATYPES, INPUT, OUTPUT
from linexport.serving._settings import Limits

SERVER_NAME, LIVENESS = "linexport", "live"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
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
    operation: Document
    """What OpenAPI says of it."""
    show: Callable[[], Answer] = _nothing
    inference: Inference | None = None
    method: str = "GET"
    model: str = ""
    """The model's name, empty where the address is not about one."""
    version: str = ""
    """The model's, likewise."""


NOWHERE = Route("unknown", {}, method="")
"""For addresses that are not in the table; it takes no method."""
Routes = Mapping[str, Route]


def all_routes(
    models: Collection[ServedModel],
    *,
    version: str,
    limits: Limits,
    ready: Callable[[], bool],
    metrics: Metrics,
) -> Routes:
    """Return every address there is, by path.

    Args:
        models: All that are served.
        version: The server's.
        limits: Of requests.
        ready: Whether the server takes requests.
        metrics: What was counted.
    """

    def health() -> Answer:
        is_ready, refused = ready(), metrics.refused
        told = {"live": True, "ready": is_ready, **({"refused": refused} if refused else {})}
        return _json(told, 200 if is_ready else 503)

    def index() -> Answer:
        return _json([_in_index(model, metrics.refused) for model in models])

    def listed() -> Answer:
        return _json({"models": [_in_index(model, metrics.refused) for model in models]})

    server = {"name": SERVER_NAME, "version": version, "extensions": EXTENSIONS}
    names = {"models": [model.name for model in models]}
    alive = Route(LIVENESS, api.LIVE, _always({"live": True}))
    well = Route("health", api.READY, health)
    routes = {
        "/v2": Route("server", api.SERVER, _always(server)),
        **dict.fromkeys(("/v2/health/live", "/livez"), alive),
        **dict.fromkeys(("/v2/health/ready", "/readyz"), well),
        "/v2/models": Route("models", api.MODELS, listed),
        "/v2/models/stats": Route("models", api.ANSWERED, partial(_statistics, models, metrics)),
        "/v2/repository/index": Route("models", api.INDEX, index, method="POST"),
        "/v1/models": Route("models", api.NAMES, _always(names)),
        "/openapi.json": Route("docs", api.OPENAPI, lambda: described),
        "/metrics": Route("metrics", api.METRICS, metrics.page),
    }
    for model in models:
        routes |= _model_routes(model, limits, metrics)
    described = _json(api.document(routes, version))
    return routes


def _statistics(models: Iterable[ServedModel], metrics: Metrics) -> Answer:
    return _json({"model_stats": [metrics.statistics(m.name, m.version) for m in models]})


def _in_index(model: ServedModel, refused: Mapping[str, str]) -> dict[str, str]:
    """Return a model as Triton's index of its repository has it."""
    reason = refused.get(model.name, "")
    return {"name": model.name, "version": model.version, "state": "READY", "reason": reason}


def _model_routes(model: ServedModel, limits: Limits, metrics: Metrics) -> dict[str, Route]:
    route = partial(Route, model=model.name, version=model.version)
    shape = len(model.predictor.features), len(model.predictor.targets)
    # To encode a row takes over a millisecond: see SMALL_BYTES.
    row_bytes = _rows.row_bytes(model) if model.predictor.encoding is None else 0
    infer, rows, predict = (
        Inference(model, partial(ask, model, limits), small_bytes(row_bytes, *shape))
        for ask, row_bytes in (
            (_infer.ask_infer, _infer.row_bytes(model)),
            (_rows.ask_rows, row_bytes),
            (_rows.ask_instances, 2 if model.predictor.encoding is None else 0),
        )
    )

    is_ready = route("model", api.MODEL_READY, _always({"name": model.name, "ready": True}))
    of_version = {
        "": route("model", api.metadata(model), _always(_metadata(model))),
        "/ready": is_ready,
        "/config": route("model", api.CONFIGURATION, _always(_configuration(model, limits))),
        "/stats": route("model", api.STATISTICS, partial(_statistics, [model], metrics)),
        "/infer": route("infer", api.infer(model), inference=infer, method="POST"),
        "/rows": route("rows", api.rows(model), inference=rows, method="POST"),
    }
    v1, v2 = f"/v1/models/{model.name}", f"/v2/models/{model.name}"
    return {
        v1: is_ready,
        f"{v1}:predict": route("predict", api.instances(model), inference=predict, method="POST"),
        **{
            f"{base}{end}": found
            for base in (v2, f"{v2}/versions/{model.version}")
            for end, found in of_version.items()
        },
    }


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


def _configuration(model: ServedModel, limits: Limits) -> dict[str, object]:
    """Return what Triton calls a model's configuration; sizes are without the rows."""
    datatype = f"TYPE_{datatype_of(model)}"
    features, targets = model.predictor.features, model.predictor.targets
    return {
        "name": model.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": limits.rows,
        "input": [{"name": INPUT, "data_type": datatype, "dims": [len(features)]}],
        "output": [{"name": OUTPUT, "data_type": datatype, "dims": [len(targets)]}],
    }


def _json(document: object, status: int = 200) -> Answer:
    return Answer(status, encode_json(document))


def _always(document: object) -> Callable[[], Answer]:
    answer = _json(document)
    return lambda: answer
