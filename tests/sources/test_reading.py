"""The door: who pays for what."""

import pytest


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "fit.json", "."])
def test_torch_is_loaded_for_torch_alone(tiny, tmp_path, fresh_python, name):
    import linexport

    bundle = linexport.export(tiny, tmp_path / "bundle").path
    (bundle / "fit.json").write_text('{"intercept": 1, "coefficients": {"a": 2}}')
    code = (
        "import sys, linexport\n"
        f"linexport.read_model({str(bundle / name)!r})\n"
        "print([name for name in ('torch', 'polars', 'onnxruntime') if name in sys.modules])\n"
    )
    assert fresh_python(code) == "[]"
