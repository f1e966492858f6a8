"""What notebooks show of workflows and plans."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import gpwf
from gpwf.api.shown import ShownPlan
from gpwf.core.codec import to_plain
from gpwf.errors import UsageError

sys.path.append(str(Path(__file__).parents[1] / "report"))

import report_fakes as fakes

TEXT = """\
gpwf: 1
name: seeds
description: <b>bold
params: {n: 1}
steps:
  - tag: simulate-observations
    foreach: {seed: [1, 2, 3]}
    config:
      models: m.yaml
      n_obs: "${params.n}"
      seed: "${seed}"
      target: {lon: 83 deg, lat: 22 deg}
"""


@pytest.fixture
def workflow(tmp_path: Path) -> gpwf.api.Workflow:
    (tmp_path / "w.yaml").write_text(TEXT)
    (tmp_path / "p.yaml").write_text("n: 2\n")
    return gpwf.read(tmp_path / "w.yaml", params_files=[tmp_path / "p.yaml"])


def test_a_workflow_shows_axes_and_places(workflow: gpwf.api.Workflow) -> None:
    html = workflow._repr_html_()
    assert "<td>seed 3</td><td>3</td>" in html
    assert "<b>seeds</b> &lt;b&gt;bold" in html


def test_settled_settings_are_shown(workflow: gpwf.api.Workflow) -> None:
    shown = workflow.show("simulate-observations[seed=2]")
    assert "\x1b" not in str(shown)
    assert "params file" in str(shown)
    assert shown._repr_html_().startswith("<pre>simulate-observations")
    settings = {item["name"]: item for item in shown.data["steps"][0]["variants"][0]["settings"]}
    assert (settings["n_obs"]["value"], settings["n_obs"]["source"]) == (2, "params file")
    with pytest.raises(UsageError, match="no such step"):
        str(workflow.show("fit"))


def test_the_settled_document_is_a_workflow(workflow: gpwf.api.Workflow) -> None:
    path = workflow.path.with_name("settled.yaml")
    path.write_text(workflow.settled())
    again = gpwf.read(path).spec
    assert again.params == {}
    assert [item.settings for item in again.steps[0].variants] == [
        item.settings for item in workflow.spec.steps[0].variants
    ]


def test_a_plan_shows_its_steps_and_is_a_plan() -> None:
    plan = fakes.make_plan()
    shown = ShownPlan.of(plan)
    assert repr(shown) == "<plan of crab: 4 tasks of 3 steps>"
    assert "<td>run 2</td><td>2</td>" in shown._repr_html_()
    assert shown == plan
    assert plan == shown
    assert shown != ShownPlan.of(gpwf.core.plan.Plan(**{**vars_of(plan), "name": "other"}))
    assert to_plain(shown) == to_plain(plan)
    assert shown.task("fit") is plan.tasks[-1]


def vars_of(plan: gpwf.core.plan.Plan) -> dict[str, object]:
    """Return the arguments that make a plan."""
    return {name: getattr(plan, name) for name in ("name", "workflow_digest", "tasks", "steps")}
