"""The reference of the diagnostics is complete, and its examples are what they claim to be.

An example is one block; blocks after it that begin with ``# file: NAME`` are files beside it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpwf.lang import check_document
from gpwf.lang.codes import TITLES, Code
from gpwf.steps.registry import load_catalog

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "diagnostics.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (GP\d{3}): .*?\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S))
BLOCK = re.compile(
    r"^(Wrong|Right):\n\n```(yaml|sh)\n(.*?)```((?:\n\n```\w+\n# file: .*?```)*)", re.M | re.S
)
FILE = re.compile(r"```\w+\n# file: (\S+)\n(.*?)```", re.S)
EXAMPLES = [
    (code, kind, text, dict(FILE.findall(files)))
    for code, section in SECTIONS.items()
    for kind, language, text, files in BLOCK.findall(section)
    if language == "yaml"
]


def test_every_code_has_a_heading_with_its_title() -> None:
    headings = dict(re.findall(r"^### (GP\d{3}): (.*)$", TEXT, re.M))
    assert headings == {str(code): title for code, title in TITLES.items()}
    assert set(TITLES) == set(Code)


@pytest.mark.parametrize("code", SECTIONS)
def test_every_code_is_explained(code: str) -> None:
    assert [found[0] for found in BLOCK.findall(SECTIONS[code])] == ["Wrong", "Right"]
    assert len(SECTIONS[code].split("Wrong:")[0].strip()) > 30


@pytest.mark.parametrize(("code", "kind", "text", "files"), EXAMPLES)
def test_example(code: str, kind: str, text: str, files: dict[str, str], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    _, found = check_document(text, load_catalog(), base=tmp_path)
    codes = {item.code for item in found}
    if kind == "Wrong":
        assert code in codes, [str(item) for item in found]
    else:
        assert not codes, [str(item) for item in found]
