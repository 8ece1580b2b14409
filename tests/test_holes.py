"""Files of which the disk holds less than they say."""

import pytest

from linexport._files import read_artifact
from linexport.errors import ArtifactError

_MEBIBYTE = 2**20


def sparse(path, *, held, size):
    """Write a file that has so many bytes at its end, and holes before them."""
    with path.open("wb") as file:
        file.seek(size - held)
        file.write(b"1" * held)
    if path.stat().st_blocks * 512 > size // 2:
        pytest.skip("this file system has no holes")
    return path


def test_a_file_with_some_holes_is_read(tmp_path):
    path = sparse(tmp_path / "model.onnx", held=2 * _MEBIBYTE, size=40 * _MEBIBYTE)
    data = read_artifact(path)
    assert len(data) == 40 * _MEBIBYTE
    assert data.count(b"1") == 2 * _MEBIBYTE


def test_a_file_that_is_nearly_all_holes_is_refused_unread(tmp_path):
    path = sparse(tmp_path / "model.onnx", held=_MEBIBYTE, size=2**34)
    with pytest.raises(ArtifactError, match=r"it has \d+ bytes, of which the disk holds \d+"):
        read_artifact(path, largest=2**40)


def test_a_file_of_zeros_is_read_where_the_disk_holds_them(tmp_path):
    path = tmp_path / "zeros.onnx"
    path.write_bytes(bytes(20 * _MEBIBYTE))
    assert read_artifact(path) == bytes(20 * _MEBIBYTE)
