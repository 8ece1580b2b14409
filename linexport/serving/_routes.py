"""Which address answers what.

All models are known, so every address is: the table is a plain dictionary, made anew when a model
is replaced, and no pattern is matched while a request waits.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from linexport.serving import _infer, _openapi, _rows
from linexport.serving._budget import most_bytes
from linexport.serving._exchange import Answer, Ask, Headers, Refusal, encode_json, shortened
from linexport.serving._infer import INPUT, OUTPUT, datatype_of
from linexport.serving.limits import Limits
from linexport.serving.models import ServedModel

SERVER_NAME = "linexport"
EXTENSIONS = ["binary_tensor_data"]


def _nothing() -> Answer:
    raise AssertionError("asked for with a method that the address does not take")


class Inference(NamedTuple):
    """What an address that predicts does with a POST."""

    model: ServedModel
    ask: Ask
    most_bytes: int
    """Of bodies that are answered together in one turn of the event loop."""

    def answer(self, body: bytes, headers: Headers) -> Answer:
        """Answer one request.

        Raises:
            Refusal: If it cannot be understood.
            DataError: If its values cannot be predicted.
        """
        asked = self.ask(body, headers)
        return asked.answer(self.model.predict(asked.features))


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


def model_routes(model: ServedModel, limits: Limits) -> dict[str, Route]:
    """Return the addresses of one model, by path."""
    described, ready = _json(_metadata(model)), _json({"name": model.name, "ready": True})
    shape = len(model.features), len(model.targets)
    infer, rows = (
        Inference(model, partial(ask, model, limits), most_bytes(row_bytes, *shape))
        for ask, row_bytes in (
            (_infer.ask_infer, _infer.row_bytes(model)),
            (_rows.ask_rows, _rows.row_bytes(model)),
        )
    )
    table = {}
    for base in (f"/v2/models/{model.name}", f"/v2/models/{model.name}/versions/{model.version}"):
        table[base] = Route("model", model.name, show=lambda: described)
        table[f"{base}/ready"] = Route("model", model.name, show=lambda: ready)
        table[f"{base}/infer"] = Route("infer", model.name, inference=infer, method="POST")
        table[f"{base}/rows"] = Route("rows", model.name, inference=rows, method="POST")
    return table


def server_routes(
    models: Sequence[ServedModel], *, version: str, ready: Callable[[], bool]
) -> dict[str, Route]:
    """Return the addresses of the server itself, by path.

    Args:
        models: All that are served.
        version: The server's.
        ready: Whether it takes requests.
    """
    server = _json({"name": SERVER_NAME, "version": version, "extensions": EXTENSIONS})
    live = _json({"live": True})

    def health() -> Answer:
        is_ready = ready()
        return _json({"live": True, "ready": is_ready}, 200 if is_ready else 503)

    return {
        "/v2": Route("server", show=lambda: server),
        "/v2/health/live": Route("health", show=lambda: live),
        "/v2/health/ready": Route("health", show=health),
        "/openapi.json": Route("docs", show=lambda: _openapi.document(models, version)),
        "/docs": Route("docs", show=lambda: _openapi.page(models, version)),
    }


def unknown(path: str, models: Mapping[str, ServedModel]) -> Refusal:
    """Say what is wrong with an address that is not in the table."""
    parts = path.split("/")
    if parts[:3] == ["", "v2", "models"] and len(parts) > 3:
        if parts[3] not in models:
            return Refusal(
                404, f"There is no model '{shortened(parts[3])}'; there is {_listed(models)}."
            )
        version = models[parts[3]].version
        if len(parts) > 5 and parts[4] == "versions" and parts[5] != version:
            return Refusal(
                404,
                f"Version '{shortened(parts[5])}' of '{parts[3]}' is not served; '{version}' is.",
            )
    return Refusal(404, "There is nothing at this address; /docs lists what there is.")


def _metadata(model: ServedModel) -> dict[str, object]:
    datatype = datatype_of(model)
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {
                "name": INPUT,
                "datatype": datatype,
                "shape": [-1, len(model.features)],
                "parameters": {
                    "columns": model.features,
                    "accepts": list(_infer.DATATYPES),
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
                "shape": [-1, len(model.targets)],
                "parameters": {"columns": model.targets},
            }
        ],
    }


def _json(document: object, status: int = 200) -> Answer:
    return Answer(status, encode_json(document))


def _listed(models: Mapping[str, ServedModel]) -> str:
    return ", ".join(f"'{name}'" for name in models)
