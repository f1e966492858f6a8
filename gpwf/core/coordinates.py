"""Names of tasks and of parts of a scatter: ``sim[scenario=null,seed=3]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from gpwf.errors import UsageError

__all__ = [
    "SelectorError",
    "labels_of",
    "listed",
    "parse_selector",
    "selector_text",
    "short_axes",
    "steps_named",
]

_SHOWN = 8  # names in a hint

_SEPARATORS = str.maketrans(dict.fromkeys("[],=/", "_"))


class SelectorError(ValueError):
    """A text that names no part of a scatter."""


def labels_of(task_id: str, step: str) -> dict[str, str]:
    """Return the labels of a task's coordinates by axis, as its id has them.

    Parameters
    ----------
    task_id, step : str
        Id of a task, or of an alias of one, and the name of its step.
    """
    text, _, _ = task_id.removeprefix(step).rpartition("]")
    if not text.startswith("["):
        return {}
    return dict(part.partition("=")[::2] for part in text[1:].split(","))


def parse_selector(text: str) -> tuple[str, dict[str, str]]:
    """Return the step and the labels by axis that ``STEP[axis=label,...]`` names.

    Raises
    ------
    SelectorError
        Where the brackets hold something else.
    """
    step, bracket, rest = text.partition("[")
    if not bracket:
        return text, {}
    inside, end, after = rest.rpartition("]")
    labels: dict[str, str] = {}
    for part in inside.split(","):
        axis, sign, label = part.partition("=")
        axis = axis.strip()
        if not (end and not after and sign and axis) or axis in labels:
            raise SelectorError(f"{text!r} has no form STEP[axis=value,...]")
        labels[axis] = label.strip().translate(_SEPARATORS)
    return step, labels


def selector_text(step: str, labels: Mapping[str, str]) -> str:
    """Return ``STEP[axis=label,...]``; the step alone where there are no labels."""
    if not labels:
        return step
    return f"{step}[{','.join(f'{axis}={label}' for axis, label in labels.items())}]"


def short_axes(axes: tuple[str, ...]) -> dict[str, str]:
    """Return the full names of axes by every name that means one of them alone.

    An axis of an included workflow, ``crab/cut``, may be called ``cut`` where no other axis is.
    """
    found = {name: name for name in axes}
    ends = [name.rpartition("/")[2] for name in axes]
    for name, end in zip(axes, ends, strict=True):
        if ends.count(end) == 1:
            found.setdefault(end, name)
    return found


def steps_named(known: Iterable[str], step: str, what: str) -> list[str]:
    """Return the step of a name, or all steps of the workflow that is a step of this name.

    Parameters
    ----------
    known : iterable of str
        Names of all steps.
    step : str
        The name.
    what : str
        What was given, for the message.

    Raises
    ------
    UsageError
        Where there is none, with a near miss.
    """
    steps = list(known)
    found = [item for item in steps if item == step]
    found = found or [item for item in steps if step and item.startswith(f"{step}/")]
    if found:
        return found
    groups = [item.partition("/")[0] for item in steps if "/" in item]
    names = list(dict.fromkeys([*steps, *groups]))
    near = get_close_matches(step, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"steps: {listed(names)}"
    raise UsageError(f"{what}: the workflow has no such step", hint=hint)


def listed(names: Iterable[str]) -> str:
    """Return the first few names for a hint."""
    found = list(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
