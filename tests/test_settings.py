"""Settings stated once: checked at birth, told by the docstring."""

import inspect
import math
import pickle
from typing import Literal

import numpy as np
import pytest

import linexport
from linexport import ExportConfig, LeastSquaresConfig, SGDConfig
from linexport._settings import setting, settings, stated
from linexport.errors import ConfigError
from linexport.parity import ProbeConfig
from linexport.pipeline import FitConfig
from linexport.predicting import EvaluateConfig, PredictConfig
from linexport.rows import DataConfig, SyntheticConfig
from linexport.serving import Limits

VERBS = [
    (linexport.predict_table, PredictConfig),
    (linexport.evaluate, EvaluateConfig),
    (linexport.read_data, DataConfig),
    (linexport.synthesize, SyntheticConfig),
    (linexport.train_and_export, FitConfig),
]
CLASSES = [
    SGDConfig, LeastSquaresConfig, ExportConfig, Limits, ProbeConfig,
    *(cls for _, cls in VERBS),
]  # fmt: skip
KNOWN = ["round"]


@settings
class Cake:
    """How to bake."""

    eggs: int = setting(default=3, help="How many.", minimum=1, maximum=12)
    sugar: float | None = setting(default=None, help="In kg.", above=0, below=1)
    form: Literal["round", "square"] = setting(default="round", help="Seen from above.")
    glaze: bool = setting(default=True, help="With sugar on top.")
    layers: tuple[str, ...] = setting(default=("round",), help="Of it.", choices=lambda: KNOWN)
    name: str = setting(default="", help="For the card.")

    def __post_init__(self) -> None:
        if self.glaze and self.sugar == 0.5:
            raise ConfigError("That is too sweet.")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"eggs": 0}, "eggs must be a whole number of at least 1 and at most 12, got 0."),
        ({"eggs": 13}, "at most 12, got 13"),
        ({"eggs": 1.5}, "a whole number"),
        ({"eggs": True}, "a whole number"),
        ({"eggs": None}, "got None"),
        ({"eggs": "3"}, "got '3'"),
        ({"sugar": 0}, "sugar must be a finite number above 0 and below 1, got 0."),
        ({"sugar": 1.0}, "below 1, got 1.0"),
        ({"sugar": math.nan}, "got nan"),
        ({"sugar": -math.inf}, "got -inf"),
        ({"sugar": "much"}, "got 'much'"),
        ({"form": "oval"}, "form must be round or square, got 'oval'."),
        ({"form": ["round"]}, "form must be round or square"),
        ({"glaze": 1}, "glaze must be True or False, got 1."),
        (
            {"layers": "round"},
            r"a tuple of round, such as \('round',\), got 'round'\.",
        ),
        ({"layers": ()}, "layers must be a tuple"),
        ({"layers": ("round", "flat")}, r"got \('round', 'flat'\)"),
        ({"name": 3}, "name must be text, got 3."),
        ({"sugar": 0.5}, "too sweet"),
    ],
)
def test_what_may_not_be_is_refused_at_birth(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Cake(**values)


def test_numbers_of_numpy_become_those_of_python():
    cake = Cake(eggs=np.int64(2), sugar=np.float32(0.25), layers=["round"])
    assert (type(cake.eggs), type(cake.sugar), cake.layers) == (int, float, ("round",))
    assert pickle.loads(pickle.dumps(cake)) == cake
    assert Cake(sugar=None).sugar is None


def test_a_registry_that_grew_gives_more_choices(monkeypatch):
    monkeypatch.setattr(f"{__name__}.KNOWN", ["round", "flat"])
    assert Cake(layers=("flat",)).layers == ("flat",)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_defaults_are_valid_and_every_field_is_in_the_docstring(cls):
    made = cls()
    for each in stated(cls):
        assert each.help.endswith(".")
        assert f"    {each.name}: " in cls.__doc__
        assert getattr(made, each.name) == each.default
        with pytest.raises(ConfigError, match=each.name):
            cls(**{each.name: object()})


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_number_is_nan(cls):
    for each in stated(cls):
        if each.kind is float:
            with pytest.raises(ConfigError, match=f"{each.name} must be a finite number"):
                cls(**{each.name: math.nan})


@pytest.mark.parametrize(("verb", "cls"), VERBS, ids=lambda value: value.__name__)
def test_a_verb_has_the_defaults_of_its_settings(verb, cls):
    parameters = inspect.signature(verb).parameters
    for each in stated(cls):
        if each.name != "solver":  # a name on the command line, settings in Python
            assert parameters[each.name].default == each.default
