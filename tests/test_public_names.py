"""One door: what users import."""

import linexport


def test_public_names_are_sorted_and_importable():
    assert linexport.__all__ == sorted(linexport.__all__)
    assert all(hasattr(linexport, name) for name in linexport.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    assert not hasattr(linexport, "no_such_name")


def test_importing_linexport_imports_nothing_heavy(fresh_python):
    code = "import sys, linexport; print({'numpy', 'torch', 'onnx', 'click'} & set(sys.modules))"
    assert fresh_python(code) == "set()"
