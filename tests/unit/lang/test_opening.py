"""Only ordinary files are read, and never more of them than the limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpwf.lang.files import read_file
from gpwf.lang.lines import Lines
from gpwf.lang.opening import read_bytes


def test_at_most_one_byte_more_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(b"abcdef")
    assert read_bytes(path, 3) == b"abcd"
    assert read_bytes(path, 6) == b"abcdef"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.symlink_to("/dev/null"), "it is a device"),
        (lambda path: os.mkfifo(path), "it is a pipe"),
        (lambda path: None, "No such file or directory"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
    ],
)
def test_what_cannot_be_read(make: object, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    make(path)  # type: ignore[operator]
    document = read_file(path, source="workflow", shown="w.yaml")
    (problem,) = document.diagnostics
    assert problem.code == "GP101"
    assert reason in problem.message
    assert str(problem.span) == "w.yaml:1:1"
    assert problem.source_line is None


def test_a_name_with_a_nul() -> None:
    (problem,) = read_file(Path("a\0b"), source="workflow").diagnostics
    assert (problem.code, problem.message) == ("GP101", r"'a\x00b' is not the name of a file")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines(end: str) -> None:
    lines = Lines(f"ab{end}{end}c\u2028d", "w")
    assert [lines.source_line(n) for n in range(5)] == [None, "ab", "", "c\u2028d", None]
    start = 2 + 2 * len(end)
    assert str(lines.span(start, start + 1)) == "w:3:1"
    assert lines.span(0, start + 1).end_line == 3
    assert lines.span(0, start + 1).end_column == 2


def test_lines_of_all_kinds() -> None:
    lines = Lines("a\r\rb\n\rc\r\nd", "w")
    assert [lines.source_line(n) for n in range(1, 8)] == ["a", "", "b", "", "c", "d", None]


def test_a_very_long_line_is_not_shown() -> None:
    assert Lines("x" * 1000, "w").source_line(1) == "x" * 1000
    assert Lines("x" * 1001, "w").source_line(1) is None
