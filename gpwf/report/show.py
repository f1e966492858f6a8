"""Settled settings of a workflow, each with where it came from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpwf.core.coordinates import (
    SelectorError,
    listed,
    parse_selector,
    short_axes,
    steps_named,
)
from gpwf.core.redact import REDACTED, looks_secret, redact_text
from gpwf.core.spec import Origin, StepSpec, WorkflowSpec
from gpwf.errors import UsageError

__all__ = ["Setting", "ShownStep", "ShownVariant", "show_data", "shown_steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A settled value.

    Parameters
    ----------
    name : str
        Dotted path; a list of plain values is one value.
    value : object
        Plain data, secrets left out.
    type : str
        ``energy``, ``int`` ...; empty where it is not known.
    origin : Origin
        Where it came from.
    n_values : int
        Number of values that it has in the scatter.
    """

    name: str
    value: Any
    type: str
    origin: Origin
    n_values: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVariant:
    """One set of settings of a step.

    Parameters
    ----------
    labels : mapping of str to str
        The first place that has it.
    n_points : int
        Number of places that have it.
    settings : tuple of Setting
        All settings, or those that differ between the variants.
    """

    labels: Mapping[str, str]
    n_points: int
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStep:
    """A step and its settings.

    Parameters
    ----------
    step : StepSpec
        The step.
    axes : mapping of str to int
        Number of values of each axis at the chosen places.
    n_points, n_variants : int
        Number of chosen places, and of sets of settings there.
    first : ShownVariant or None
        The first variant; None for a step that a condition leaves out.
    others : tuple of ShownVariant
        The rest, where they were asked for, with the settings that differ.
    """

    step: StepSpec
    axes: Mapping[str, int]
    n_points: int
    n_variants: int
    first: ShownVariant | None
    others: tuple[ShownVariant, ...] = ()


def shown_steps(
    spec: WorkflowSpec, name: str | None = None, *, every: bool = False
) -> list[ShownStep]:
    """Return the steps of a workflow with their settings.

    Parameters
    ----------
    spec : WorkflowSpec
        The workflow.
    name : str, optional
        One step, a workflow that is a step, or a part of a scatter: ``sim[scenario=null]``.
    every : bool
        Show every set of settings of a scatter.

    Raises
    ------
    UsageError
        Where there is no such step, axis or value.
    """
    if name is None:
        return [_shown(spec, step, {}, every) for step in spec.steps]
    try:
        step_name, labels = parse_selector(name)
    except SelectorError as error:
        raise UsageError(str(error)) from None
    steps = [spec.step(item) for item in steps_named([s.name for s in spec.steps], step_name, name)]
    found = [
        _shown(spec, step, labels, every)
        for step in steps
        if labels.keys() <= short_axes(step.axes).keys()
    ]
    if not found:
        axes = list(dict.fromkeys(axis for step in steps for axis in step.axes))
        hint = f"axes: {listed(axes)}" if axes else "it runs once: leave the brackets out"
        raise UsageError(f"{name}: {step_name} has no such axis", hint=hint)
    if labels and not any(item.n_points for item in found):
        hint = "; ".join(f"{axis}: {listed(spec.axes[axis].labels)}" for axis in found[0].step.axes)
        raise UsageError(f"{name}: {step_name} does not run there", hint=hint)
    return found


def _shown(spec: WorkflowSpec, step: StepSpec, labels: Mapping[str, str], every: bool) -> ShownStep:
    """Return a step at the places that have these labels."""
    rows = list(_rows(spec, step, labels))
    counts: dict[int, int] = {}
    places: dict[int, tuple[int, ...]] = {}
    same = _same_settings(step, {step.chosen[number] for number in rows})
    for number in rows:
        chosen = same[step.chosen[number]]
        counts[chosen] = counts.get(chosen, 0) + 1
        places.setdefault(chosen, step.points[number])
    variants = [list(_leaves(step.variants[number].settings)) for number in places]
    values: dict[str, dict[str, None]] = {}
    for variant in variants:
        for path, value in variant:
            values.setdefault(path, {})[json.dumps(value, sort_keys=True)] = None
    n_values = {path: len(found) for path, found in values.items()}
    for path, found in values.items():  # a setting that some variants lack differs, too
        if n_values[path] == 1 and sum(path in dict(v) for v in variants[:50]) < len(variants[:50]):
            n_values[path] = len(found) + 1
    made = [
        ShownVariant(
            labels={
                axis: spec.axes[axis].labels[position]
                for axis, position in zip(step.axes, places[number], strict=True)
            },
            n_points=counts[number],
            settings=tuple(_settings(step, number, variant, n_values, differing=bool(order))),
        )
        for order, (number, variant) in enumerate(zip(places, variants, strict=True))
        if every or not order
    ]
    return ShownStep(
        step=step,
        axes={
            axis: len({step.points[number][n] for number in rows})
            for n, axis in enumerate(step.axes)
        },
        n_points=len(rows),
        n_variants=len(places),
        first=made[0] if made else None,
        others=tuple(made[1:]),
    )


def _same_settings(step: StepSpec, numbers: Collection[int]) -> dict[int, int]:
    """Return for variants the first one that has the same settings."""
    first: dict[str, int] = {}
    return {
        number: first.setdefault(
            json.dumps(step.variants[number].settings, sort_keys=True, default=str), number
        )
        for number in sorted(numbers)
    }


def _rows(spec: WorkflowSpec, step: StepSpec, labels: Mapping[str, str]) -> Iterator[int]:
    """Yield the numbers of the points that have these labels."""
    full = short_axes(step.axes)
    wanted = [
        (step.axes.index(full[axis]), spec.axes[full[axis]].labels, label)
        for axis, label in labels.items()
    ]
    for number, point in enumerate(step.points):
        if all(known[point[at]] == label for at, known, label in wanted):
            yield number


def _settings(
    step: StepSpec,
    number: int,
    leaves: Sequence[tuple[str, Any]],
    n_values: Mapping[str, int],
    *,
    differing: bool,
) -> Iterator[Setting]:
    """Yield the settings of a variant; those alone that differ, where that is asked for."""
    variant = step.variants[number]
    for path, value in leaves:
        if differing and n_values[path] == 1:
            continue
        yield Setting(
            name=path,
            value=_harmless(path, value),
            type=variant.types.get(path) or variant.types.get(f"{path}.0", ""),
            origin=_origin(variant.origins, path),
            n_values=n_values[path],
        )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield paths and values; a list of plain values is one."""
    if isinstance(value, Mapping) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and any(
        isinstance(item, (Mapping, list, tuple)) for item in value
    ):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}.{number}")
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def _origin(origins: Mapping[str, Origin], path: str) -> Origin:
    """Return where a value came from; of a list, its first item, or what is around it."""
    found = origins.get(path) or origins.get(f"{path}.0")
    while found is None and path:
        path = path.rpartition(".")[0]
        found = origins.get(path)
    return found or Origin(source="step default")


def _harmless(path: str, value: Any) -> Any:
    """Return a value without what looks like a secret."""
    if isinstance(value, str):
        return REDACTED if looks_secret(path, value) else redact_text(value)
    if isinstance(value, list):
        return [_harmless(path, item) for item in value]
    is_data = value is not None and not isinstance(value, bool) and looks_secret(path)
    return REDACTED if is_data else value


def show_data(spec: WorkflowSpec, steps: Sequence[ShownStep]) -> dict[str, Any]:
    """Return settled settings as the JSON of ``gpwf show`` has them."""
    return {
        "workflow": spec.name,
        "file": None if spec.path is None else str(spec.path),
        "params": [
            {
                "name": name,
                "value": _harmless(name, value),
                **_origin_data(spec.param_origins.get(name)),
            }
            for name, value in spec.params.items()
        ],
        "execution": {
            "executor": spec.execution.executor,
            "jobs": spec.execution.jobs,
            "max_tasks": spec.execution.max_tasks,
            "log_level": spec.execution.log_level,
            "options": dict(spec.execution.options),
            "record_env": list(spec.execution.record_env),
            "anonymous": spec.execution.anonymous,
        },
        "steps": [_step_data(item) for item in steps],
    }


def _step_data(item: ShownStep) -> dict[str, Any]:
    step, policy = item.step, item.step.policy
    return {
        "name": step.name,
        "tag": step.tag,
        "description": step.description,
        "axes": dict(item.axes),
        "gather": list(step.gather),
        "n_points": item.n_points,
        "n_variants": item.n_variants,
        "inputs": {
            port: [f"{ref.step}.{ref.product}" for ref in refs]
            for port, refs in step.inputs.items()
        },
        "outputs": dict(step.outputs),
        "after": list(step.after),
        "policy": {
            "n_jobs": policy.n_jobs,
            "memory_bytes": policy.memory_bytes,
            "walltime_s": policy.walltime_s,
            "timeout_s": policy.timeout_s,
            "retries": policy.retries,
            "on_error": policy.on_error,
            "cache": policy.cache,
        },
        "variants": [
            {
                "coordinates": dict(variant.labels),
                "n_points": variant.n_points,
                "settings": [_setting_data(setting) for setting in variant.settings],
            }
            for variant in ([item.first] if item.first is not None else []) + list(item.others)
        ],
    }


def _setting_data(setting: Setting) -> dict[str, Any]:
    return {
        "name": setting.name,
        "value": setting.value,
        "type": setting.type,
        "n_values": setting.n_values,
        **_origin_data(setting.origin),
    }


def _origin_data(origin: Origin | None) -> dict[str, Any]:
    """Return an origin as JSON: source, place, and the expression or option that gave the value."""
    span = origin.span if origin is not None else None
    return {
        "source": origin.source if origin is not None else "step default",
        "detail": redact_text(origin.detail) if origin is not None and origin.detail else None,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
    }
