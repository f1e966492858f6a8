"""Everything that gpwf brings opens in an editor without a single complaint.

The workflows of the repository, those in its documents, the examples of the language, and what
`gpwf init` writes. `gpwf validate` sees more than an editor; what it calls fine, an editor must not
mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from language_server import LanguageServer, yaml_settings

from gpwf.api.init_templates import TEMPLATES
from gpwf.api.scaffold import init

pytestmark = pytest.mark.xdist_group("editor")

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("workflows", "tests/editor/examples", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.gpwf.yaml")
    if "_build" not in path.parts
)
# the page on steps of one's own has one that gpwf does not know
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "reference" / "language.md",
    *sorted(
        set((ROOT / "docs" / "howto").glob("*.md")) - {ROOT / "docs" / "howto" / "own-step.md"}
    ),
]
BLOCKS = {
    ROOT / "workflows" / f"block-{number}-of-{page.stem}.gpwf.yaml": match[1]
    for page in PAGES
    for number, match in enumerate(
        re.finditer(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    )
    if re.search(r"^gpwf: 1$", match[1], re.MULTILINE)
}
CASES = [(name, target) for name, template in TEMPLATES.items() for target in template.targets]

Marks = dict[Path, list[str]]


def marks(server: LanguageServer, texts: dict[Path, str]) -> Marks:
    """Return what is marked in documents; all are opened at once, since a server takes its time.

    With every document there is a copy with a mistake that only a schema shows.
    """
    copies = {wrong(path): misspelt(text) for path, text in texts.items()}
    opened = {path: server.open(path, text) for path, text in {**texts, **copies}.items()}
    return {path: [item.message for item in server.complaints(uri)] for path, uri in opened.items()}


def misspelt(text: str) -> str:
    """Return a workflow whose first step has a tag that does not exist."""
    return re.sub(r"\btag: \w[\w-]*", "tag: no-such-step", text, count=1)


def wrong(path: Path) -> Path:
    """Return where the copy with the mistake would be."""
    return path.with_name(f"wrong-{path.name}")


def check(marks: Marks, path: Path) -> None:
    """Assert that a document has no complaint, and that its schema was read."""
    assert marks[path] == []
    assert any("Value must be " in message for message in marks[wrong(path)])


def workflow_name(template: str, target: str) -> str:
    """Return a name that no other pair of template and target has."""
    return re.sub(r"\W", "_", f"of-{template}-{target}")


@pytest.fixture(scope="module")
def with_settings(editor: LanguageServer) -> Marks:
    """Return the marks of files and documents, with the settings of this repository."""
    files = {path: path.read_text(encoding="utf-8") for path in FILES}
    return marks(editor, files | BLOCKS)


@pytest.fixture(scope="module")
def without_settings(plain_editor: LanguageServer) -> Marks:
    """Return the marks of files, with the schema that their first line names."""
    return marks(plain_editor, {path: path.read_text(encoding="utf-8") for path in FILES})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which every template was used, for every target."""
    folder = tmp_path_factory.mktemp("new")
    for template, target in CASES:
        init(template, folder, targets=[target], name=workflow_name(template, target))
    return folder


@pytest.fixture(scope="module")
def new_with_settings(server_command: Path, folder: Path) -> Iterator[Marks]:
    """Return the marks of new workflows, by the settings that `gpwf init` wrote alone."""
    server = LanguageServer(server_command, folder, yaml_settings(folder))
    texts = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.gpwf.yaml")}
    bare = {path: text.partition("\n")[2] for path, text in texts.items()}
    yield marks(server, bare)
    server.close()


@pytest.fixture(scope="module")
def new_without_settings(plain_editor: LanguageServer, folder: Path) -> Marks:
    """Return the marks of new workflows, by their first line alone."""
    texts = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.gpwf.yaml")}
    return marks(plain_editor, texts)


def test_there_is_something_to_open() -> None:
    names = {path.name for path in FILES}
    assert {"crab-1d.gpwf.yaml", "quickstart.gpwf.yaml", "many-targets.gpwf.yaml"} <= names
    assert {path.name.rpartition("-of-")[2] for path in BLOCKS} >= {"README.gpwf.yaml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files(path: Path, with_settings: Marks, without_settings: Marks) -> None:
    check(with_settings, path)
    check(without_settings, path)


@pytest.mark.parametrize("path", BLOCKS, ids=lambda path: path.name)
def test_documents(path: Path, with_settings: Marks) -> None:
    check(with_settings, path)


@pytest.mark.parametrize(("template", "target"), CASES)
def test_new_workflows(
    template: str,
    target: str,
    folder: Path,
    new_with_settings: Marks,
    new_without_settings: Marks,
) -> None:
    path = folder / f"{workflow_name(template, target)}.gpwf.yaml"
    check(new_with_settings, path)
    check(new_without_settings, path)
