"""Workbooks of Excel's binary kinds, .xls and .xlsb, of two columns and any cell.

Sources: [MS-CFB], [MS-XLS] and [MS-XLSB] of Microsoft's open specifications.
"""

import io
import struct
import zipfile
from collections.abc import Iterable, Iterator

from hostile.workbooks import PARTS

Cell = tuple[int, int, float]
"""Row and column, from 0, and a number."""
HEADER = ("x1", "y")
_SECTOR, _NAME = 512, "Sheet1"
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def xlsb(cells: Iterable[Cell]) -> bytes:
    """Return a workbook of records in an archive."""
    texts = [struct.pack("<III", column, 0, len(name)) + name.encode("utf-16-le")
             for column, name in enumerate(HEADER)]  # fmt: skip
    records = [_long(0, struct.pack("<I", 0)), *(_long(6, text) for text in texts)]
    for row, column, number in cells:
        records += [
            _long(0, struct.pack("<I", row)),
            _long(5, struct.pack("<IId", column, 0, number)),
        ]
    dimensions = _long(148, struct.pack("<IIII", 0, 1, 0, 1))
    sheet = _long(129) + dimensions + _long(145) + b"".join(records) + _long(146) + _long(130)
    told = struct.pack("<II", 0, 1) + b"".join(
        struct.pack("<I", len(text)) + text.encode("utf-16-le") for text in ("a", _NAME)
    )
    parts = {
        **{name: text for name, text in PARTS.items() if name[0] in "[_"},
        "xl/workbook.bin": _long(131) + _long(143) + _long(156, told) + _long(144) + _long(132),
        "xl/_rels/workbook.bin.rels": PARTS["xl/_rels/workbook.xml.rels"].replace(".xml", ".bin"),
        "xl/worksheets/sheet1.bin": sheet,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def _long(kind: int, data: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
    return head + bytes([len(data)]) + data


def binary_bombs() -> Iterator[tuple[str, str, bytes]]:
    """Yield names, what must be said, and workbooks of three cells, of which one is far away."""
    too_much = r"takes more than the \d+ MiB"
    near = [(1, 0, 1.0), (1, 1, 2.0)]
    yield "far.xls", too_much, xls([*near, (2**16 - 1, 2**16 - 1, 3.0)])
    yield "far.xlsb", too_much, xlsb([*near, (2**20 - 1, 2**14 - 1, 3.0)])


def xls(cells: Iterable[Cell]) -> bytes:
    """Return a workbook of records in one stream of a compound file."""
    place = 20 + 4 + 8 + len(_NAME) + 4  # of the sheet, after three records
    head = _short(0x809, struct.pack("<HHIII", 0x600, 5, 0, 0, 0))
    head += _short(0x85, struct.pack("<IBBBB", place, 0, 0, len(_NAME), 0) + _NAME.encode())
    records = [head, _short(0xA), _short(0x809, struct.pack("<HHIII", 0x600, 0x10, 0, 0, 0))]
    for column, name in enumerate(HEADER):
        records.append(
            _short(0x204, struct.pack("<HHHHB", 0, column, 0, len(name), 0) + name.encode())
        )
    records += [_short(0x203, struct.pack("<HHHd", *cell[:2], 0, cell[2])) for cell in cells]
    return _compound(b"".join([*records, _short(0xA)]))


def _short(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _compound(stream: bytes) -> bytes:
    """Return a file of a header, a table of sectors, a directory, and the stream."""
    num_sectors = max(-(-len(stream) // _SECTOR), 8)  # less would be in a stream of small sectors
    following = [_FAT, _END, *range(3, num_sectors + 2), _END]
    table = struct.pack(f"<{len(following)}I", *following).ljust(_SECTOR, b"\xff")
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack(
        "<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, _END, 0, _END, 0, 0
    )  # fmt: skip
    directory = _entry("Root Entry", 5, 1, _END, 0)
    directory += _entry("Workbook", 2, _FREE, 2, num_sectors * _SECTOR)
    return (
        head.ljust(_SECTOR, b"\xff")
        + table
        + directory.ljust(_SECTOR, b"\0")
        + stream.ljust(num_sectors * _SECTOR, b"\0")
    )


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = name.encode("utf-16-le")
    return text.ljust(64, b"\0") + struct.pack(
        "<HBBIII36xIQ", len(text) + 2, kind, 1, _FREE, _FREE, child, start, size
    )
