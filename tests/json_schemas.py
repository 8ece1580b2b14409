"""JSON schemas of what `--json` prints, made from the types that it is printed from.

python tests/json_schemas.py     writes docs/schemas/
"""

import json
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec

from linexport.bundle import ErrorBudget, Manifest
from linexport.fit import FitRecord
from linexport.formats.onnx import OnnxSummary
from linexport.parity import Certificate, Verdict
from linexport.predicting import Evaluation, Predicted
from linexport.reporting import StateDocument
from linexport.tables import TableLook

FOLDER = Path(__file__).parent.parent / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document(title: str, *parts: type, **own: Any) -> Any:
    """A type with the fields of others and its own; all of them are there."""
    fields = {name: hint for part in parts for name, hint in get_type_hints(part).items()}
    return msgspec.defstruct(title, list((fields | own).items()), kw_only=True)


def error_document() -> Any:
    place = [(name, kind | None, None) for name, kind in (("column", str), ("row", int))]
    said = [("kind", str), ("exit_status", int), ("message", str), ("source", str, ""), *place]
    return document("Failure", error=msgspec.defstruct("Error", said, kw_only=True))


def predict_document() -> Any:
    hints = get_type_hints(Predicted)
    counts = {name: hint for name, hint in hints.items() if name.startswith("rows_")}
    part = document("Part", **counts, path=str, done_before=bool)
    fields = [*counts.items(), ("output", str), ("parts", list[part], [])]
    return msgspec.defstruct("Predictions", fields, kw_only=True)


DOCUMENTS = {
    "describe": TableLook,
    "evaluate": Evaluation,
    "error": error_document(),
    "inspect-bundle": document(
        "InspectedBundle",
        kind=Literal["bundle"],
        path=str,
        verdict=Verdict | None,
        digests_checked=bool,
        manifest=Manifest,
        certificate=Certificate | None,
    ),
    "inspect-onnx": document("InspectedOnnx", OnnxSummary, kind=Literal["onnx"], path=str),
    "predict": predict_document(),
    "state": StateDocument,
    "train-and-export": document(
        "Trained",
        Certificate,
        FitRecord,
        bundle=str | None,
        failures=list[str],
        error_budget=dict[str, ErrorBudget],
        precision=str,
        warnings=list[str],
    ),
    "verify": document("Verified", Certificate, failures=list[str]),
}
"""By the command, and what it is of where a command has two; `error` is every command's, and
`export` and `fit` print what `train-and-export` does."""


def schemas() -> dict[str, str]:
    """The text of each schema, by the name of its file."""
    made = {
        name: {"$schema": DIALECT, **msgspec.json.schema(kind)} for name, kind in DOCUMENTS.items()
    }
    for schema in made.values():
        for part in schema["$defs"].values():
            if "description" in part:  # fields stand in it by themselves
                part["description"] = part["description"].partition("\n\nAttributes:")[0]
    return {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in made.items()}


def main() -> None:
    """Write docs/schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
