import os
import re

import pytest

from gpwf.api.init_templates import TEMPLATES
from gpwf.api.scaffold import SCHEMA, SETTINGS, default_name, init
from gpwf.api.targets import TARGETS
from gpwf.errors import UsageError


def actions(files, folder):
    return {item.path.relative_to(folder).as_posix(): str(item.action) for item in files}


def texts(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_a_workflow(tmp_path):
    files = init("3d", tmp_path / "new" / "folder", targets=["msh15-52"])
    folder = tmp_path / "new" / "folder"
    assert list(actions(files, folder)) == [
        "msh15-52-3d.gpwf.yaml",
        "models/msh15-52-3d.yaml",
        "regions/msh15-52-3d.reg",
        SCHEMA,
        SETTINGS,
    ]
    assert set(actions(files, folder).values()) == {"new"}
    assert {item.path for item in files} == set(texts(folder))  # and no drafts


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_word_is_filled_in(template, tmp_path):
    for target in TEMPLATES[template].targets:
        for item in init(template, tmp_path / target, targets=[target]):
            if item.path.suffix != ".json":
                assert not re.search(r"@\w+@", item.path.read_text()), item.path


def test_a_list_may_be_long(tmp_path):
    (workflow, *_) = init("crab-1d", tmp_path, targets=["pks2155-304"])
    assert max(map(len, workflow.path.read_text().splitlines())) <= 110


def test_again_changes_nothing(tmp_path):
    init("simulate", tmp_path)
    before = texts(tmp_path)
    assert set(actions(init("simulate", tmp_path), tmp_path).values()) == {"unchanged"}
    assert texts(tmp_path) == before


def test_several_workflows_share_a_folder(tmp_path):
    for template in TEMPLATES:
        init(template, tmp_path)
        init(template, tmp_path, name=f"my-{template}")
    assert len(list(tmp_path.glob("*.gpwf.yaml"))) == 2 * len(TEMPLATES)


def test_what_was_edited_is_never_replaced(tmp_path):
    init("crab-1d", tmp_path)
    edited = tmp_path / "models" / "crab-1d.yaml"
    edited.write_text("mine")
    (tmp_path / "crab-1d.gpwf.yaml").unlink()
    before = texts(tmp_path)
    with pytest.raises(UsageError, match=r"models/crab-1d\.yaml: there already") as caught:
        init("crab-1d", tmp_path)
    assert "--name" in caught.value.hint
    assert texts(tmp_path) == before  # not even the workflow that was missing
    found = actions(init("crab-1d", tmp_path, overwrite=True), tmp_path)
    assert found["models/crab-1d.yaml"] == "updated"
    assert "crab" in edited.read_text()


def test_a_schema_of_gpwf_is_renewed(tmp_path):
    init("simulate", tmp_path)
    schema = tmp_path / SCHEMA
    new = schema.read_text()
    schema.write_text(new.replace("fit", "tif"))
    assert actions(init("simulate", tmp_path), tmp_path)[SCHEMA] == "updated"
    assert schema.read_text() == new
    schema.write_text("{}")  # somebody else's
    with pytest.raises(UsageError, match=r"schemas/workflow\.schema\.json: there already"):
        init("simulate", tmp_path)


def test_editor_settings_are_added_to(tmp_path):
    path = tmp_path / SETTINGS
    path.parent.mkdir()
    path.write_text('{\n  "editor.tabSize": 2, // mine\n}\n')
    path.chmod(0o600)
    assert actions(init("simulate", tmp_path), tmp_path)[SETTINGS] == "updated"
    assert '"editor.tabSize": 2, // mine' in path.read_text()
    assert f'"./{SCHEMA}": ["*.gpwf.yaml"]' in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe{}"])
def test_editor_settings_that_cannot_be_read_are_left_alone(content, tmp_path):
    path = tmp_path / SETTINGS
    path.parent.mkdir()
    path.write_bytes(content)
    kept = init("simulate", tmp_path, overwrite=True)[-1]
    assert (kept.path, kept.action) == (path, "kept")
    assert SCHEMA in kept.note
    assert path.read_bytes() == content


def test_a_link_stays_a_link(tmp_path):
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    (tmp_path / ".vscode").mkdir()
    (tmp_path / SETTINGS).symlink_to(real)
    init("simulate", tmp_path)
    assert (tmp_path / SETTINGS).is_symlink()
    assert SCHEMA in real.read_text()


@pytest.mark.parametrize(
    ("template", "targets", "name"),
    [
        ("crab-1d", [], "crab-1d"),
        ("3d", ["rxj1713.7-3946"], "rxj1713-7-3946-3d"),
        ("joint", [], "joint-crab"),
        ("multi-target", ["crab", "msh15-52"], "multi-target"),
    ],
)
def test_default_names(template, targets, name):
    assert default_name(template, targets) == name


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"template": "crab"}, "no template 'crab'", "crab-1d"),
        ({"template": "xyz"}, "no template 'xyz'", "multi-target"),
        ({"template": "3d", "targets": ["msh"]}, "no target 'msh'", "msh15-52"),
        ({"template": "crab-1d", "targets": ["rxj1713.7-3946"]}, "no target", "it takes crab"),
        ({"template": "3d", "targets": ["crab", "msh15-52"]}, "takes one target", "multi"),
        ({"template": "3d", "name": "../x"}, "cannot be the name", "letter"),
        ({"template": "3d", "name": ""}, "cannot be the name", "letter"),
        ({"template": "3d", "name": "3d"}, "cannot be the name", "letter"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message, hint, tmp_path):
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        init(folder=tmp_path, **arguments)
    assert hint in caught.value.hint
    assert texts(tmp_path) == {}


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        init("simulate", tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        init("simulate", tmp_path)


def test_targets_of_templates_are_known():
    for template in TEMPLATES.values():
        assert set(template.chosen) <= set(template.targets) <= set(TARGETS)
        assert template.targets
