"""Settled settings, workflows and plans as Python and notebooks see them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from gpwf.core.plan import Plan
from gpwf.core.spec import StepSpec, WorkflowSpec

__all__ = ["Shown", "ShownPlan", "workflow_html"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Settled settings of a workflow, each with its origin.

    Printed, it is the text of ``gpwf show``; in a notebook, too.

    Parameters
    ----------
    spec : WorkflowSpec
        The workflow.
    step : str or None
        What is shown of it; everything where None.
    every : bool
        True for every set of settings of a scatter.
    """

    spec: WorkflowSpec
    step: str | None = None
    every: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """The same as plain data, as ``gpwf show --format json`` has it."""
        from gpwf.report.show import show_data, shown_steps

        return show_data(self.spec, shown_steps(self.spec, self.step, every=self.every))

    def text(self, width: int | None = None) -> str:
        """Return the text, with colours.

        Parameters
        ----------
        width : int, optional
            Characters of a line; no limit by default.
        """
        from gpwf.report.show_text import show_text

        return show_text(self.spec, self.step, every=self.every, width=width)

    def __str__(self) -> str:
        from gpwf.report.text import unstyled

        return unstyled(self.text())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


class ShownPlan(Plan):
    """A plan that a notebook shows as a table of its steps, whatever the number of its tasks."""

    __slots__ = ()

    @classmethod
    def of(cls, plan: Plan) -> ShownPlan:
        """Return a plan that shows itself."""
        return cls(**{item.name: getattr(plan, item.name) for item in fields(plan) if item.init})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plan):
            return NotImplemented
        names = [item.name for item in fields(Plan) if item.compare]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]  # as of every plan: it holds mappings

    def __repr__(self) -> str:
        return f"<plan of {self.name}: {len(self.tasks)} tasks of {len(self.steps)} steps>"

    def _repr_html_(self) -> str:
        from html import escape

        from gpwf.report.listings import plan_data
        from gpwf.report.planned import axes_text

        rows = "".join(
            f"<tr><td>{escape(step['name'])}</td><td>{escape(step['tag'])}</td>"
            f"<td>{escape(axes_text(step['axes'], step['n_points']))}</td>"
            f"<td>{step['n_tasks']}</td><td>{escape(', '.join(step['shared_with']))}</td></tr>"
            for step in plan_data(self, ())["steps"]
        )
        heads = "".join(
            f"<th>{head}</th>" for head in ("step", "tag", "axes", "tasks", "shared with")
        )
        return (
            f"<p><b>{escape(self.name)}</b>: {len(self.tasks)} tasks</p>"
            f"<table><tr>{heads}</tr>{rows}</table>"
        )


def workflow_html(spec: WorkflowSpec) -> str:
    """Return the steps of a workflow as a table, with their axes and how often they run."""
    from html import escape

    from gpwf.report.planned import axes_text

    rows = "".join(
        f"<tr><td>{escape(step.name)}</td><td>{escape(step.tag)}</td>"
        f"<td>{escape(axes_text(_sizes(step), len(step.points)))}</td>"
        f"<td>{len(step.points)}</td><td>{escape(', '.join(step.outputs))}</td></tr>"
        for step in spec.steps
    )
    heads = "".join(f"<th>{head}</th>" for head in ("step", "tag", "axes", "places", "products"))
    return (
        f"<p><b>{escape(spec.name)}</b> {escape(spec.description)}</p>"
        f"<table><tr>{heads}</tr>{rows}</table>"
    )


def _sizes(step: StepSpec) -> dict[str, int]:
    """Return the number of values of each axis of a step."""
    return {axis: len({row[n] for row in step.points}) for n, axis in enumerate(step.axes)}
