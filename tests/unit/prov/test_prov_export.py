"""Records are written whole, with the mode people expect, and read back or refused clearly."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import prov_factory as factory
import pytest
from prov.model import ProvDocument

from gpwf.errors import ProvenanceError
from gpwf.prov.document import build_document
from gpwf.prov.export import FORMATS, load, serialise, write


@pytest.fixture
def document() -> ProvDocument:
    plan = factory.make_plan()
    return build_document(plan, factory.mixed_run(plan))


def test_json_comes_back_equal(document: ProvDocument, tmp_path: Path) -> None:
    path = write(document, tmp_path / "new" / "prov.json")
    assert load(path) == document
    assert [item.name for item in path.parent.iterdir()] == ["prov.json"]


def test_json_is_what_the_library_writes(document: ProvDocument) -> None:
    assert json.loads(serialise(document)) == json.loads(document.serialize(format="json"))


def test_provn_comes_back_equal(document: ProvDocument, tmp_path: Path) -> None:
    path = write(document, tmp_path / "prov.provn", "provn")
    assert ProvDocument.deserialize(content=path.read_text(), format="provn") == document


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_mode_follows_umask(document: ProvDocument, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        path = write(document, tmp_path / "prov.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_failed_write_leaves_the_old_file(
    document: ProvDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prov.json"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gpwf.prov.json_sections.os.fsync", full)
    with pytest.raises(ProvenanceError, match=r"cannot write .*prov\.json: No space left"):
        write(document, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_format_lists_the_known_ones(document: ProvDocument, tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="unknown provenance format 'yaml'") as caught:
        write(document, tmp_path / "x.yaml", "yaml")
    assert caught.value.hint == f"formats: {', '.join(FORMATS)}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}', "not PROV-JSON"),
        ("[1, 2]", "not PROV-JSON"),
        ("SIMPLE  = T", r"prov\.json:1:1: the file is not JSON"),
        ("", "is torn"),
        ("[" * 200_000, "too deeply nested"),
        ('{"entity": {"nowhere:x": {}}}', "is not valid PROV-JSON"),
        ('{"entity": {"x": 3}}', "is not valid PROV-JSON"),
    ],
)
def test_foreign_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prov.json"
    path.write_text(text)
    with pytest.raises(ProvenanceError, match=message):
        load(path)


def test_torn_file_is_refused_wherever_it_ends(document: ProvDocument, tmp_path: Path) -> None:
    text = serialise(document)
    path = tmp_path / "prov.json"
    for part in range(1, 20):
        path.write_text(text[: len(text) * part // 20])
        with pytest.raises(ProvenanceError, match=r"prov\.json:\d+:\d+: the file"):
            load(path)


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="No such file"):
        load(tmp_path / "none.json")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ProvenanceError, match="not a text file"):
        load(tmp_path / "image.png")
