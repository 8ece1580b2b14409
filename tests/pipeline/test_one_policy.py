"""The same row, through every door: the same decision, in the same words but for the place."""

import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from serving.asking import Client

import linexport
from linexport._asked import asked, asking_for_options
from linexport.cli import main
from linexport.serving import Limits, ServedModel
from linexport.serving._application import Application
from linexport.serving._log import Log
from linexport.serving._metrics import Metrics

NAN = float("nan")


@dataclass(frozen=True)
class Asked:
    """One row, and how it is asked for."""

    row: tuple[float | None, float | None]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Door:
    bundle: Path
    folder: Path
    capture: Any

    def array(self, asked) -> float:
        return self._predicted(np.array([asked.row], float), asked)

    def tensor(self, asked) -> float:
        row = [NAN if value is None else value for value in asked.row]
        return self._predicted(torch.tensor([row], dtype=torch.float64), asked)

    def mapping(self, asked) -> float:
        return self._predicted(dict(zip("ab", asked.row, strict=True)), asked)

    def columns(self, asked) -> float:
        return self._predicted(
            dict(zip("ab", ([value] for value in asked.row), strict=True)), asked
        )

    def polars(self, asked) -> float:
        return self._predicted(_frame(asked), asked)

    def arrow(self, asked) -> float:
        missing, check_range = _settings(asked)
        predict = linexport.record_batch_predictor(
            linexport.load(self.bundle, check_range=check_range), missing=missing
        )
        return predict(pa.table(_frame(asked))).column("y")[0].as_py()

    def csv(self, asked) -> float:
        return self._from_file(asked, "in.csv", "id,a,b\n7,{},{}\n")

    def quoted_csv(self, asked) -> float:
        return self._from_file(asked, "in.csv", 'id,a,b\n"x",{},{}\n')

    def parquet(self, asked) -> float:
        _frame(asked).write_parquet(self.folder / "in.parquet")
        return self._from_file(asked, "in.parquet")

    def command_line(self, asked) -> float:
        _write(asked, self.folder / "in.csv", "a,b\n{},{}\n")
        missing, check_range = _settings(asked)
        arguments = ["predict", self.bundle, self.folder / "in.csv", "--missing", missing]
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in [*arguments, "--check-range", check_range]])
        said = self.capture.readouterr()
        if ended.value.code:
            raise linexport.DataError(_in_python(said.err.rstrip("\n")))
        if said.err:
            warnings.warn(said.err, linexport.ExtrapolationWarning, stacklevel=1)
        return float(said.out.split()[1])

    def http_tensor(self, asked) -> float:
        data = [[NAN if value is None else value for value in asked.row]]
        tensor = {"name": "features", "shape": [1, 2], "datatype": "FP64", "data": data}
        answer = self._answer(asked, "/v2/models/m/infer", {"inputs": [tensor]})
        return answer["outputs"][0]["data"][0]

    def http_rows(self, asked) -> float:
        row = dict(zip("ab", asked.row, strict=True))
        return self._answer(asked, "/v2/models/m/rows", row)["rows"][0]["y"]

    def _answer(self, asked, path, document) -> Any:
        missing, check_range = _settings(asked)
        predictor = linexport.load(self.bundle, check_range=check_range)
        model = ServedModel(name="m", version="1", predictor=predictor, missing=missing)
        log, told = Log(lambda _: None), Metrics()
        application = Application([model], version="1", limits=Limits(), log=log, metrics=told)
        response = Client(application).post(path, document)
        log.close()
        if response.status != 200:
            raise linexport.DataError(response.error)
        return response.json

    def _predicted(self, features, asked) -> float:
        missing, check_range = _settings(asked)
        predictor = linexport.load(self.bundle, check_range=check_range)
        return float(predictor.predict(features, missing=missing)[0, 0])

    def _from_file(self, asked, name, text=None) -> float:
        if text:
            _write(asked, self.folder / name, text)
        missing, check_range = _settings(asked)
        linexport.predict_table(
            self.bundle,
            self.folder / name,
            self.folder / "out.parquet",
            missing=missing,
            check_range=check_range,
        )
        return pl.read_parquet(self.folder / "out.parquet")["y"][0]


def _settings(asked) -> tuple[str, str]:
    return asked.settings.get("missing", "error"), asked.settings.get("check_range", "off")


def _frame(asked) -> pl.DataFrame:
    return pl.DataFrame([asked.row], schema={"a": pl.Float64, "b": pl.Float64}, orient="row")


def _write(asked, path, text) -> None:
    path.write_text(text.format(*("" if value is None else value for value in asked.row)))


def _in_python(said: str) -> str:
    """Return a command's message as Python's, which names arguments in place of options."""
    for name, value in {"missing": "nan", "check_range": "warn"}.items():
        with asking_for_options():
            option = asked(**{name: value})
        said = said.replace(option, asked(**{name: value}))
    return said


DOORS = [name for name in vars(Door) if not name.startswith("_") and callable(getattr(Door, name))]
NO_VALUE = "There is no value; fill it in, or predict such rows as NaN with missing='nan'."
OUTSIDE = "50 is outside the training range, 0 to 9; "

CASES = {
    "a number": (Asked((0.1, 2.0)), -7.3),
    "no value": (Asked((None, 2.0)), NO_VALUE),
    "NaN": (Asked((1.0, NAN)), NO_VALUE),
    "no value, as NaN": (Asked((None, 2.0), {"missing": "nan"}), NAN),
    "NaN, as NaN": (Asked((1.0, NAN), {"missing": "nan"}), NAN),
    "infinity": (Asked((1.0, math.inf)), "inf is given; correct it."),
    "infinity is not missing": (
        Asked((-math.inf, 1.0), {"missing": "nan"}),
        "-inf is given; correct it.",
    ),
    "too large": (
        Asked((1e39, 2.0)),
        "1e+39 is beyond the range of float32; correct it, or use a float64 model.",
    ),
    "too large is not missing": (
        Asked((None, -1e39), {"missing": "nan"}),
        "-1e+39 is beyond the range of float32; correct it, or use a float64 model.",
    ),
    "a prediction that is too large": (
        Asked((3e38, 2.0)),
        "The prediction of 'y' is beyond the range of float32; correct the features, or use a "
        "float64 model.",
    ),
    "outside, unasked": (Asked((50.0, 2.0)), 92.5),
    "outside, refused": (
        Asked((50.0, 2.0), {"check_range": "error"}),
        f"{OUTSIDE}correct it, or predict it with check_range='warn'.",
    ),
    "NaN is not outside": (
        Asked((NAN, 2.0), {"check_range": "error", "missing": "nan"}),
        NAN,
    ),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """y = 2 a - 4 b + 0.5"""
    model = linexport.LinearModel(
        weight=np.array([[2.0, -4.0]]),
        bias=np.array([0.5]),
        features=(
            linexport.Column(name="a", minimum=0.0, maximum=9.0),
            linexport.Column(name="b", minimum=-9.0, maximum=9.0),
        ),
    )
    return linexport.export(model, tmp_path_factory.mktemp("policy") / "bundle").path


@pytest.fixture
def door(bundle, tmp_path, capsys) -> Door:
    return Door(bundle, tmp_path, capsys)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("through", DOORS)
def test_every_door_decides_alike_in_the_same_words(door, through, case):
    asked, expected = CASES[case]
    if isinstance(expected, str):
        with pytest.raises(linexport.DataError) as caught:
            getattr(door, through)(asked)
        place, sentence = re.fullmatch(r"(.*?row 1): (.*)", str(caught.value)).groups()
        assert sentence == expected
        assert "prediction" in sentence or "column '" in place
    else:
        found = getattr(door, through)(asked)
        found = NAN if found is None else found  # JSON has no NaN
        assert np.float32(found) == np.float32(expected) or (
            found != found and expected != expected
        )


@pytest.mark.parametrize("through", [name for name in DOORS if "http" not in name])
def test_every_door_warns_of_the_same_row(door, through):
    asked = Asked((50.0, 2.0), {"check_range": "warn"})
    with pytest.warns(linexport.ExtrapolationWarning) as warned:
        assert getattr(door, through)(asked) == 92.5
    (warning,) = warned
    assert (
        str(warning.message)
        .rstrip()
        .endswith(f"column 'a', row 1: {OUTSIDE}the prediction is an extrapolation.")
    )
