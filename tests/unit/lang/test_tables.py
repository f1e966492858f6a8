"""Tables in files: what the formats allow, and at which line a mistake is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpwf.lang.document import read_document
from gpwf.lang.report import Report
from gpwf.lang.tables import read_tables


def read(folder: Path, data: bytes, suffix: str = ".csv") -> tuple[Any, list[str]]:
    """Return the rows by name, and the problems as ``line:column message``."""
    (folder / f"t{suffix}").write_bytes(data)
    report = Report()
    root = read_document(f"tables: {{t: t{suffix}}}\n", file="workflow.yaml").root
    assert root is not None
    found = read_tables(root, folder, report)
    problems = [
        f"{item.span.line}:{item.span.column} {item.message}" if item.span else item.message
        for item in report.finished()
    ]
    assert ("t" in found.nodes) == (not problems)
    assert found.lost == ([] if "t" in found.nodes else ["t"])
    return (found.nodes["t"].plain() if "t" in found.nodes else None), problems


@pytest.mark.parametrize(
    "data",
    [
        b"name,x\na,1\nb,2\n",
        b"name,x\r\na,1\r\nb,2\r\n",
        b"name,x\ra,1\rb,2\r",
        b"\xef\xbb\xbfname,x\na,1\nb,2",
        b"\n\nname,x\n\na,1\nb,2\n\n\n",
        b'"name","x"\n"a","1"\n"b",2\n',
        b"name, x\na,  1\nb ,2 \n",
    ],
    ids=["lf", "crlf", "cr", "bom", "empty-lines", "quotes", "spaces"],
)
def test_ways_to_write_one_table(tmp_path: Path, data: bytes) -> None:
    rows, problems = read(tmp_path, data)
    assert problems == []
    assert rows == {"a": {"name": "a", "x": 1}, "b": {"name": "b", "x": 2}}


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("", None),
        ('""', None),
        ("~", None),
        ("1e-9", 1e-9),
        ("023523", "023523"),
        ("no", "no"),
        ("true", True),
        ("+22:00:52", "+22:00:52"),
        ("2019-12-01", "2019-12-01"),
        ("0.11 deg", "0.11 deg"),
        ('"a,b"', "a,b"),
        ('"say ""so"""', 'say "so"'),
        ('"two\nlines"', "two\nlines"),
        ("*a", "*a"),
        ("a\u2028b", "a\u2028b"),
        ('"[1, 2]"', [1, 2]),
        ('"{lon: 1 deg, lat: 2 deg}"', {"lon": "1 deg", "lat": "2 deg"}),
    ],
)
def test_cells(tmp_path: Path, cell: str, value: Any) -> None:
    rows, problems = read(tmp_path, f"name,x\na,{cell}\nlast,1\n".encode())
    assert problems == []
    assert rows["a"]["x"] == value
    assert type(rows["a"]["x"]) is type(value)
    assert rows["last"]["x"] == 1


def test_a_row_may_be_called_null(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, b"name,x\nnull,1\ntrue,2\n23523,3\n")
    assert [row["name"] for row in rows.values()] == ["null", "true", 23523]


def test_dotted_columns_make_mappings(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, b"name,at.lon,at.lat,at.more.deep\na,1 deg,2 deg,3\n")
    assert rows["a"]["at"] == {"lon": "1 deg", "lat": "2 deg", "more": {"deep": 3}}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"name,x\na,1\n\nb,2,3\n", "4:1 t.csv: 3 cells for 2 columns"),
        (b"name,x\r\na,1\r\nb\r\n", "3:1 t.csv: 1 cells for 2 columns"),
        (b'name,x\n"a\nb",1\nc\n', "4:1 t.csv: 1 cells for 2 columns"),
        (b"", "1:1 t.csv: it has no line with the names of the columns"),
        (b"\nx,y\n1,2\n", "2:1 t.csv: it has no column `name`"),
        (b"name;x\na;1\n", "1:1 t.csv: it has no column `name` (columns are separated by commas)"),
        (b"name,x,x\na,1,2\n", "1:1 t.csv: two columns are called 'x'"),
        (b"name,,x\na,1,2\n", "1:1 t.csv: '' is not the name of a column"),
        (b"name,x.\na,1\n", "1:1 t.csv: 'x.' is not the name of a column"),
        (b"name,x,x.y\na,1,2\n", "2:1 t.csv: the columns 'x' and 'x.y' exclude each other"),
        (b"name,x.y,x\na,1,2\n", "2:1 t.csv: the column 'x' is there twice"),
        (b"name,x\na,1\na,2\n", "3:1 two rows of the table 't' have the name 'a'"),
        (b"name,x\n,2\n", "2:1 a row of the table 't' has no `name`"),
        (b"name,x\nab,1e999\n", "2:4 t.csv: the number is too large"),
        (b"name,x\na,\0\n", "2:3 character U+0000 must not occur in a text"),
        (b"name,x\na,\xff\n", "2:3 byte 0xff is not UTF-8"),
    ],
)
def test_mistakes_have_a_line(tmp_path: Path, data: bytes, problem: str) -> None:
    assert read(tmp_path, data)[1] == [problem]


@pytest.mark.parametrize("row", [b'a,"1', b'"a"b,1', b'a,"1" x', b"a," + b"y" * 200_000])
def test_wrong_quotes_have_a_line(tmp_path: Path, row: bytes) -> None:
    rows, problems = read(tmp_path, b"name,x\nfirst,1\n" + row + b"\n")
    assert rows is None
    assert [text.split(":")[:2] for text in problems] == [["3", "1 t.csv"]]


def ecsv(columns: str, rows: str, more: str = "") -> bytes:
    """Return an ECSV file; the first column is ``name``."""
    head = ["%ECSV 1.0", "---", *more.splitlines(), "datatype:"]
    head += ["- {name: name, datatype: string}", *columns.splitlines()]
    return "".join(f"# {line}\n" for line in head).encode() + rows.encode()


def test_ecsv(tmp_path: Path) -> None:
    columns = "- {name: r, unit: deg, datatype: float64}\n- {name: ok, datatype: bool}"
    rows = 'name r ok\n"a b" 1.5 True\nc "" False\nd nan True\n'
    found, problems = read(tmp_path, ecsv(columns, rows), ".ecsv")
    assert problems == []
    assert [row["r"] for row in found.values()] == ["1.5 deg", None, None]
    assert [row["ok"] for row in found.values()] == [True, False, True]
    assert list(found) == ["a b", "c", "d"]


def test_ecsv_text_stays_text(tmp_path: Path) -> None:
    rows, _ = read(
        tmp_path, ecsv("- {name: x, datatype: string}", "name x\n1 2\n3 true\n"), ".ecsv"
    )
    assert rows == {"1": {"name": "1", "x": "2"}, "3": {"name": "3", "x": "true"}}


def test_ecsv_lists_and_commas(tmp_path: Path) -> None:
    columns = "- {name: ids, datatype: string, subtype: 'int64[null]'}"
    data = ecsv(columns, 'name,ids\na,"[1,2,3]"\n', "delimiter: ','")
    assert read(tmp_path, data, ".ecsv")[0] == {"a": {"name": "a", "ids": [1, 2, 3]}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"name x\na 1\n", "it does not begin with `# %ECSV`"),
        (b"# %ECSV 1.0\n", "its header is not YAML"),
        (b"# %ECSV 1.0\n# ---\n# datatype: [\nname\na\n", "its header is not YAML"),
        (ecsv("", "name\na\n", "delimiter: '|'"), "its delimiter is neither a space nor a comma"),
        (ecsv("", "name\na\n", "delimiter: 3"), "its delimiter is neither a space nor a comma"),
        (ecsv("", ""), "it has no line with the names of the columns"),
    ],
)
def test_ecsv_mistakes(tmp_path: Path, data: bytes, message: str) -> None:
    assert read(tmp_path, data, ".ecsv")[1] == [f"1:1 t.ecsv: {message}"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["name", ",", "\n", '"', "a", "1", "[", "]", " ", "x.y", "# ", "é"])),
    st.sampled_from([".csv", ".ecsv"]),
)
def test_any_text_is_a_table_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], suffix: str
) -> None:
    head = "# %ECSV 1.0\n# ---\n# datatype: []\n" if suffix == ".ecsv" else ""
    data = (head + "name,x\n" + "".join(pieces)).encode()
    rows, problems = read(tmp_path_factory.mktemp("t"), data, suffix)
    assert problems or all(row["name"] is not None for row in rows.values())
