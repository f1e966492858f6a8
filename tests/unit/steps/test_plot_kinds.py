"""Kinds of figures: setting and table name the same ones, and settings belong to them."""

from __future__ import annotations

import inspect
import re
from typing import get_args

import pytest

from gpwf.steps.builtin.plot import PlotSettings, PlotStep
from gpwf.steps.plots.kinds import PLOT_KINDS


def test_setting_and_table_name_the_same_kinds() -> None:
    assert set(get_args(PlotSettings.model_fields["kind"].annotation)) == set(PLOT_KINDS)


@pytest.mark.parametrize("kind", PLOT_KINDS)
def test_every_kind_can_be_drawn_from_its_inputs(kind: str) -> None:
    pytest.importorskip("numpy")
    parameters = inspect.signature(PLOT_KINDS[kind].function()).parameters
    assert list(parameters) == ["settings", "inputs", "ctx"]
    assert any(not port.optional for port in PLOT_KINDS[kind].inputs)
    assert set(PLOT_KINDS[kind].settings) <= set(PlotSettings.model_fields) - {"kind", "title"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "light-curve", "source": "crab"}, "'source' has no meaning for kind 'light-cu"),
        ({"kind": "counts", "energy_power": 0.0}, "'energy_power' has no meaning .* for 'sed'"),
        ({"kind": "sed", "fit_range": {"min": "1 TeV"}}, "only for .*'counts', 'residuals'"),
    ],
)
def test_a_setting_of_another_kind_is_refused(config: dict[str, object], message: str) -> None:
    (found,) = PlotStep().check(PlotSettings.model_validate(config))
    assert re.search(message, found.message)
    assert found.path == (list(config)[1],)


def test_every_setting_belongs_to_a_kind() -> None:
    used = {name for kind in PLOT_KINDS.values() for name in kind.settings}
    assert used == set(PlotSettings.model_fields) - {"kind", "title"}
