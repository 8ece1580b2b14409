"""Names, units and ranges are part of the proof, in whichever file they stand."""

import json
import shutil

import numpy as np
import onnx
import pytest

import linexport
from linexport import Column, ExportConfig, LinearModel
from linexport.bundle import MANIFEST_FILE
from linexport.errors import ArtifactError, BundleError
from linexport.formats import FORMATS

PLAIN = {"onnx": "model.onnx", "torchscript": "model.pt", "pt2": "model.pt2"}


def a_model(num_targets=2, **options):
    columns = [
        Column(name=name, unit=unit, minimum=low, maximum=low + 2.0)
        for name, unit, low in (("age", "a", 1.0), ("size", "m", -3.0), ("mass", "", 0.0))
    ]
    return LinearModel(
        weight=np.array([[1.5, -2.25, 0.1], [3.0, 0.7, 8.0]])[:num_targets],
        bias=np.array([0.5, 0.25])[:num_targets],
        features=tuple(columns),
        targets=(Column(name="cost", unit="EUR"), Column(name="time"))[:num_targets],
        **options,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names") / "bundle"
    config = ExportConfig(formats=list(PLAIN), probe_rows=64)
    exported = linexport.export(a_model(), folder, config=config)
    assert exported.certificate.verdict == "proven"
    return folder


def verified(path, **options):
    return linexport.verify(path, probe_rows=64, **options)


def with_metadata(kind, bundle, change):
    """Return one of the artifacts, written anew with changed metadata."""
    known, opened = FORMATS[kind], linexport.read_bundle(bundle)
    metadata = dict(known.metadata(opened.read(known.file_name)))
    change(metadata)
    return known.write(opened.model, metadata)


def columns(change, key="features"):
    def changed(metadata):
        entries = json.loads(metadata[key])
        change(entries)
        metadata[key] = json.dumps(entries)

    return changed


def swap_names(entries):
    entries[0]["name"], entries[1]["name"] = entries[1]["name"], entries[0]["name"]


def with_manifest(bundle, folder, change):
    copy = shutil.copytree(bundle, folder / "copy")
    manifest = json.loads((copy / MANIFEST_FILE).read_text())
    change(manifest)
    (copy / MANIFEST_FILE).write_text(json.dumps(manifest))
    return copy


FAULTS = {
    "two features": (
        columns(swap_names),
        "states feature 1 to be 'size', {} 'age': by name the predictions are wrong.",
    ),
    "two targets": (
        columns(swap_names, "targets"),
        "states target 1 to be 'time', {} 'cost': by name the predictions are wrong.",
    ),
    "another name": (
        columns(lambda entries: entries[2].update(name="weight")),
        "states feature 3 to be 'weight', {} 'mass'",
    ),
    "a name too many": (
        columns(lambda entries: entries.append({"name": "more"})),
        "states 4 features, {} 3.",
    ),
    "another unit": (
        columns(lambda entries: entries[1].update(unit="km")),
        "states the unit of feature 'size' as km, {} as m.",
    ),
    "another range": (
        columns(lambda entries: entries[0].update(minimum=-1.0)),
        "states the minimum of feature 'age' as -1.0, {} as 1.0.",
    ),
    "another unit of a target": (
        columns(lambda entries: entries[0].update(unit="USD"), "targets"),
        "states the unit of target 'cost' as USD, {} as EUR.",
    ),
    "another dtype": (
        lambda metadata: metadata.update(dtype="float64"),
        "states the dtype float64, and is float32.",
    ),
    "another sum": (
        lambda metadata: metadata.update(accumulate="float64"),
        "states the accumulate float64, and is float32.",
    ),
    "another form": (
        lambda metadata: metadata.update(form="centred"),
        "states the form centred, and is folded.",
    ),
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_file_says_wrongly_is_a_disagreement(bundle, tmp_path, fault, kind):
    """Its numbers are proven all the same."""
    change, failure = FAULTS[fault]
    path = tmp_path / PLAIN[kind]
    path.write_bytes(with_metadata(kind, bundle, change))
    report = verified(path, reference=bundle)
    (found,) = report.failures
    assert found.startswith(f"'{path.name}' {failure.format('the reference')}")
    assert report.verdict == "disagrees"
    assert {runtime.verdict for runtime in report.runtimes} == {"proven"}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("missing", ["features", "targets", "dtype", "form", "all"])
def test_what_a_file_does_not_say_is_not_wrong(bundle, tmp_path, kind, missing):
    path = tmp_path / PLAIN[kind]
    change = dict.clear if missing == "all" else lambda metadata: metadata.pop(missing)
    path.write_bytes(with_metadata(kind, bundle, change))
    report = verified(path, reference=bundle)
    assert report.verdict == "proven"
    (said,) = report.statements
    assert missing not in said.states
    assert (said.states == ()) == (missing == "all")


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("damage", ["", "[{}]", '[{"name":"\\u001b"}]', "[" * 10_000])
def test_damaged_names_end_in_a_line(bundle, tmp_path, kind, damage):
    path = tmp_path / PLAIN[kind]
    path.write_bytes(with_metadata(kind, bundle, lambda words: words.update(features=damage)))
    with pytest.raises(ArtifactError, match=r"^\S+: The file's names of columns are damaged: "):
        verified(path, reference=bundle)


@pytest.mark.parametrize("key", ["features", "targets"])
def test_a_manifest_that_swaps_two_names_disagrees_with_its_artifacts_and_its_numbers(
    bundle, tmp_path, key
):
    copy = with_manifest(bundle, tmp_path, lambda manifest: swap_names(manifest[key]))
    report = verified(copy)
    assert report.verdict == "disagrees"
    assert {runtime.verdict for runtime in report.runtimes} == {"proven"}
    wrong = {said.source for said in report.statements if said.failure}
    assert wrong == {MANIFEST_FILE, *PLAIN.values()}
    first = report.statements[0].failure
    assert first.startswith("'manifest.json' states the coefficient of ")
    assert "are not of one model" in first
    (named,) = [said.failure for said in report.statements if said.source == "model.onnx"]
    assert "manifest.json 's" in named or "manifest.json 't" in named


@pytest.mark.parametrize("key", ["features", "targets"])
def test_a_certificate_is_no_proof_of_other_names(bundle, tmp_path, key):
    copy = with_manifest(bundle, tmp_path, lambda manifest: swap_names(manifest[key]))
    with pytest.raises(ArtifactError, match=f"parity.json is the proof of the {key} '"):
        linexport.inspect(copy)
    assert linexport.inspect(bundle).certificate.verdict == "proven"


def test_coefficients_that_only_names_tell_from_the_weights_disagree(bundle, tmp_path):
    def swap(manifest):
        slopes = manifest["record"]["coefficients"]["cost"]["features"]
        slopes["age"], slopes["size"] = slopes["size"], slopes["age"]

    report = verified(with_manifest(bundle, tmp_path, swap))
    assert report.failures == (
        "'manifest.json' states the coefficient of 'age' for 'cost' as -2.25, the weights as 1.5: "
        "the names, or the numbers, are not of one model.",
    )


def test_intercepts_of_other_targets_disagree(tmp_path):
    """Where the slopes are alike, only they tell the targets apart."""
    model = LinearModel(
        weight=np.ones((2, 1)),
        bias=np.array([1.0, 1.001]),
        features=(Column(name="x", minimum=0.0, maximum=1.0),),
    )
    linexport.export(model, tmp_path / "bundle", config=ExportConfig(probe_rows=64))
    copy = with_manifest(tmp_path / "bundle", tmp_path, lambda m: swap_names(m["targets"]))
    assert (
        verified(copy)
        .statements[0]
        .failure.startswith("'manifest.json' states the intercept for 'y2' as 1.001")
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda slopes: slopes.pop("age"), "'cost' leave out the feature 'age'"),
        (lambda slopes: slopes.update(more=1.0), "'more' is not one of the features"),
    ],
)
def test_coefficients_of_other_names_are_refused_when_a_bundle_is_read(
    bundle, tmp_path, change, reason
):
    def changed(manifest):
        change(manifest["record"]["coefficients"]["cost"]["features"])

    copy = with_manifest(bundle, tmp_path, changed)
    for door in (linexport.read_bundle, linexport.load, verified):
        with pytest.raises(BundleError, match=reason):
            door(copy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", ["folded", "centred"])
@pytest.mark.parametrize("known", [True, False], ids=["ranges", "no ranges"])
def test_right_coefficients_agree_however_they_were_rounded(tmp_path, dtype, form, known):
    """Large means, small slopes, a bundle exported once more in another dtype."""
    random = np.random.default_rng(0)
    mean = random.uniform(1e6, 2e6, 5)
    ends = [(m - 1.0, m + 1.0) if known else (None, None) for m in mean.tolist()]
    model = LinearModel(
        weight=random.standard_normal((2, 5)) * 10.0 ** random.integers(-3, 3, (2, 5)),
        bias=random.standard_normal(2),
        mean=mean,
        features=tuple(
            Column(name=f"f{number}", minimum=low, maximum=high)
            for number, (low, high) in enumerate(ends)
        ),
    )
    config = ExportConfig(
        dtype=dtype, form=form, formats=["onnx"], probe_rows=64, accept_coarse=True
    )
    first = linexport.export(model, tmp_path / "first", config=config)
    assert [said.failure for said in first.certificate.statements] == [None, None]
    other = ExportConfig(formats=["onnx"], dtype="float64", probe_rows=64)
    again = linexport.export(linexport.read_bundle(first), tmp_path / "again", config=other)
    assert [said.failure for said in again.certificate.statements] == [None, None]


def test_a_foreign_file_that_states_no_names_is_compared_by_position(tmp_path):
    """x1, x2, ... is what stands where there is no name."""
    unnamed = LinearModel(weight=np.float32([[1, 2]]), bias=np.float32([3]))
    linexport.export(unnamed, tmp_path / "bundle", config=ExportConfig(probe_rows=64))
    columns = [tuple(Column(name=name) for name in names) for names in (("b", "a"), ("cost",))]
    named = unnamed.with_columns(*columns)
    report = verified(tmp_path / "bundle" / "model.onnx", reference=named)
    assert report.verdict == "proven"
    proto = onnx.load(tmp_path / "bundle" / "model.onnx")
    for entry in proto.metadata_props:
        if entry.key == "linexport.features":
            entry.value = '[{"name":"x2"},{"name":"x1"}]'
    onnx.save(proto, tmp_path / "swapped.onnx")
    report = verified(tmp_path / "swapped.onnx", reference=unnamed)
    assert report.failures == (
        "'swapped.onnx' states feature 1 to be 'x2', the reference 'x1': by name the predictions "
        "are wrong.",
    )


def test_in_a_bundle_x1_is_a_name_like_any_other(tmp_path):
    unnamed = LinearModel(weight=np.float32([[1, 2]]), bias=np.float32([3]))
    linexport.export(unnamed, tmp_path / "bundle", config=ExportConfig(probe_rows=64))

    def rename(manifest):
        for column, name in zip(manifest["features"], "ab", strict=True):
            column["name"] = name
        for target in manifest["record"]["coefficients"].values():
            target["features"] = dict(zip("ab", target["features"].values(), strict=True))
        manifest["assumed_ranges"] = {}

    report = verified(with_manifest(tmp_path / "bundle", tmp_path, rename))
    assert {said.source for said in report.statements if said.failure} == {"model.pt", "model.onnx"}


@pytest.mark.parametrize(("num_features", "num_targets"), [(2, 1), (1, 2), (3, 3)])
def test_the_canary_of_two_names_is_caught_by_them_alone(tmp_path, num_features, num_targets):
    """Also where the file itself states none."""
    model = LinearModel(
        weight=np.ones((num_targets, num_features), np.float32),
        bias=np.ones(num_targets, np.float32),
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(FORMATS["onnx"].write(model, {}))
    report = verified(path, reference=model)
    assert (report.verdict, report.statements[0].states) == ("proven", ())
    (canary,) = [c for c in report.canaries if c.name == "two names swapped"]
    assert canary.caught_by == ("names",)


def test_one_feature_and_one_target_have_no_names_to_swap(tmp_path):
    model = LinearModel(weight=np.float32([[2]]), bias=np.float32([1]))
    exported = linexport.export(model, tmp_path / "bundle", config=ExportConfig(probe_rows=64))
    (canary,) = [c for c in exported.certificate.canaries if c.name == "two names swapped"]
    assert canary.skipped == "There is one feature, and one target."


def test_what_a_bundle_was_rounded_by_holds_over_the_ranges_that_are_given(tmp_path):
    """The coefficients in the record are of the fit, before it was rounded for the first bundle."""
    config = ExportConfig(formats=["onnx"], dtype="float32", probe_rows=64, accept_coarse=True)
    model = LinearModel(
        weight=np.array([[0.1]]),
        bias=np.array([0.0]),
        features=(Column(name="x", minimum=0.0, maximum=1.0),),
    )
    first = linexport.export(model, tmp_path / "first", config=config)
    again = linexport.export(
        linexport.read_bundle(first),
        tmp_path / "again",
        config=ExportConfig(formats=["onnx"], dtype="float64", probe_rows=64),
        ranges={"x": np.array([0.0, 1000.0])},
    )
    lost = abs(float(np.float32(0.1)) - 0.1)
    assert again.error_budget["y"].export == pytest.approx(1000 * lost, rel=1e-9)
    assert again.certificate.verdict == "proven"
