"""Workbooks of a few kilobytes whose sheet takes gigabytes, and one that does not."""

import io
import zipfile
from collections.abc import Iterator

_SHEET = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_WHERE = f'<Relationships xmlns="{_PACKAGE}/relationships">'
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
    "_rels/.rels": f'{_WHERE}<Relationship Id="a" Type="{_OFFICE}/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook {_SHEET} xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="Sheet1" sheetId="1" r:id="a"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{_WHERE}<Relationship Id="a" Type="{_OFFICE}/worksheet" '
    f'Target="worksheets/sheet1.xml"/><Relationship Id="b" Type="{_OFFICE}/sharedStrings" '
    'Target="sharedStrings.xml"/></Relationships>',
}
_HEAD = "<sheetData><row><c t='str'><v>x1</v></c><c t='str'><v>y</v></c></row>"


def workbook(rows: str, *, texts: str = "", before: str = "") -> bytes:
    """Return a workbook of one sheet, with a header above its rows.

    Args:
        rows: As XML.
        texts: Those that cells name by their number, as XML.
        before: What stands above the sheet.
    """
    sheet = f"{before}<worksheet {_SHEET}>{_HEAD}{rows}</sheetData></worksheet>"
    parts = PARTS | {
        "xl/worksheets/sheet1.xml": sheet,
        "xl/sharedStrings.xml": f"<sst {_SHEET}>{texts}</sst>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def small_workbooks() -> list[bytes]:
    """Return what is read: numbers, and text that cells name."""
    numbers = "<row><c><v>1</v></c><c><v>2.5</v></c></row>"
    named = '<row><c t="s"><v>0</v></c><c t="b"><v>1</v></c></row>'
    return [
        workbook(numbers * 3),
        workbook(numbers + named + numbers, texts="<si><t>a</t></si>"),
    ]


def workbook_bombs() -> Iterator[tuple[str, str, bytes]]:
    """Yield names, what must be said, and workbooks that ask for too much."""
    too_much = r"takes more than the \d+ MiB"
    far = '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    yield "far.xlsx", too_much, workbook(far)
    row = f"<row>{'<c><v>1</v></c>' * 1000}</row>"
    yield "cells.xlsx", too_much, workbook(row * 5_000)
    yield "texts.xlsx", too_much, workbook("", texts="<si><t>a</t></si>" * 5_000_000)
    long = f"<si><t>{'a' * 2**15}</t></si>"
    yield "long.xlsx", too_much, workbook('<row><c t="s"><v>0</v></c></row>' * 20_000, texts=long)
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    yield (
        "entities.xlsx",
        "unrecognized entity",
        workbook(
            '<row><c t="str"><v>&e9;</v></c></row>',
            before=f'<!DOCTYPE x [<!ENTITY e0 "a">{entities}]>',
        ),
    )
