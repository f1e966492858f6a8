"""The reference of the diagnostics is complete, and its examples are what they claim to be."""

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
BLOCK = re.compile(r"^(Wrong|Right):\n\n```(yaml|sh)\n(.*?)```", re.M | re.S)
EXAMPLES = [
    (code, kind, text)
    for code, section in SECTIONS.items()
    for kind, language, text in BLOCK.findall(section)
    if language == "yaml"
]


def test_every_code_has_a_heading_with_its_title() -> None:
    headings = dict(re.findall(r"^### (GP\d{3}): (.*)$", TEXT, re.M))
    assert headings == {str(code): title for code, title in TITLES.items()}
    assert set(TITLES) == set(Code)


@pytest.mark.parametrize("code", SECTIONS)
def test_every_code_is_explained(code: str) -> None:
    assert [kind for kind, _, _ in BLOCK.findall(SECTIONS[code])] == ["Wrong", "Right"]
    assert len(SECTIONS[code].split("Wrong:")[0].strip()) > 30


@pytest.mark.parametrize(("code", "kind", "text"), EXAMPLES)
def test_example(code: str, kind: str, text: str) -> None:
    _, found = check_document(text, load_catalog(), base=Path("/nowhere"))
    codes = {item.code for item in found}
    if kind == "Wrong":
        assert code in codes, [str(item) for item in found]
    else:
        assert not codes, [str(item) for item in found]
