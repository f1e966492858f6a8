import pytest

from gpwf.lang.document import read_document
from gpwf.report.step_types import list_text, skeleton, step_data, step_text
from gpwf.steps.registry import load_catalog

CATALOG = load_catalog()


def config_of(text: str) -> dict:
    document = read_document(f"steps:\n{text}", file="skeleton")
    assert document.diagnostics == ()
    (step,) = document.root.plain()["steps"]
    return step.get("config", {})


@pytest.mark.parametrize("tag", CATALOG.tags())
def test_a_skeleton_is_a_valid_step_as_it_is_printed(tag, tmp_path):
    settled = CATALOG.settle(tag, config_of(skeleton(CATALOG.step(tag))), base=tmp_path)
    # what is left is a choice between settings, or the name of a function: a skeleton has neither
    wrong = [
        item
        for item in settled.problems
        if item.code not in ("GP306", "GP307") and "(or '" not in item.message
    ]
    assert wrong == []


@pytest.mark.parametrize("tag", CATALOG.tags())
def test_a_skeleton_with_every_comment_taken_away_is_yaml_and_knows_every_key(tag, tmp_path):
    head, *lines = skeleton(CATALOG.step(tag)).splitlines(keepends=True)
    config = config_of(
        head
        + "".join(
            line.replace("# ", "", 1) if line.strip().startswith("# ") else line for line in lines
        )
    )
    unknown = [
        item for item in CATALOG.settle(tag, config, base=tmp_path).problems if item.code == "GP301"
    ]
    assert unknown == []
    assert config


@pytest.mark.parametrize("tag", CATALOG.tags())
def test_one_step_is_shown_with_every_port_and_setting(tag):
    step = CATALOG.step(tag)
    text = step_text(step, CATALOG.help(tag), width=80)
    data = step_data(step)
    assert data["settings"]
    for item in (*data["inputs"], *data["outputs"], *data["settings"]):
        assert item["name"] in text


def test_the_list_has_every_tag_with_its_title():
    text = list_text(CATALOG)
    for tag in CATALOG.tags():
        assert tag in text
        assert CATALOG.title(tag) in text
