"""Each value of a bundle's JSON, and of Parquet, in turn is an odd one: it is refused, or shown."""

import copy
import json
import random
import shutil
from contextlib import suppress

import pytest
from hostile.odd_parquet import odd_files, tried_files, whole_files
from relisting import put

import linexport
from linexport.errors import LinexportError

ODD = (0, -1, 1, 2**63, 10**400, 1e308, -1e308, 1e-320, -0.0, float("nan"), None, True, "", "a",
       "\u200b", [], {}, [[]], [1.0], [[1.0]], {"a": 1})  # fmt: skip
TRIED = 150
"""Of some 5,000."""


def places(document, path=()):
    """Yield the path of every value."""
    if path:
        yield path
    inner = document.items() if isinstance(document, dict) else ()
    for key, value in enumerate(document) if isinstance(document, list) else inner:
        yield from places(value, (*path, key))


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A bundle that tells of all that a fit may: levels, intervals, a proof."""
    directory = tmp_path_factory.mktemp("fitted")
    rows = directory / "rows.csv"
    rows.write_text("x,k,y\n1,a,2\n2,b,4\n3,a,1\n5,b,2\n2,a,2\n4,a,3\n")
    fit = linexport.State(targets=["y"], categorical=["k"]).update(rows).fit()
    linexport.export(fit, directory / "bundle")
    return directory / "bundle"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["manifest.json", "parity.json"])
def test_an_odd_value_is_refused_or_shown(name, fitted, tmp_path):
    bundle, page = tmp_path / "bundle", tmp_path / "page.html"
    shutil.copytree(fitted, bundle)
    document = json.loads((bundle / name).read_bytes())
    doors = (
        lambda: linexport.inspect(bundle),
        lambda: linexport.load(bundle).predict_interval({"x": [1.0], "k": ["a"]}),
        lambda: linexport.report(bundle, page),
    )
    cases = [(path, value) for path in places(document) for value in ODD]
    accepted = 0
    for path, value in random.Random(1).sample(cases, TRIED):
        data = json.dumps(changed(document, path, value)).encode()
        if name == "manifest.json":
            (bundle / name).write_bytes(data)
        else:
            put(bundle, name, data)
        for door in doors:
            with suppress(LinexportError):
                door()
                accepted += 1
    assert 0 < accepted < TRIED * len(doors)


def test_an_odd_number_in_parquet_is_refused_or_read():
    files = list(odd_files(next(whole_files())))
    found = tried_files(random.Random(1).sample(files, TRIED))
    assert not found.fault, f"{found.fault}\n{found.input!r}"
    assert 0 < found.tally.accepted < found.tally.inputs == TRIED
