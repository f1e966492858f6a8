"""What differs between two task keys, component by component."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpwf.compiler.keys import SEALED, key_components
from gpwf.core.digests import Digest
from gpwf.core.plan import Task
from gpwf.core.redact import looks_secret, redact_text
from gpwf.core.view import TaskView
from gpwf.steps.callables.source import DIGEST_TYPE

__all__ = ["MOST_CHANGES", "Change", "Inputs", "inputs_of", "key_changes"]

#: Changes of one kind that are told of a task.
MOST_CHANGES = 8

_ARROW = "\N{RIGHTWARDS ARROW}"
_LONGEST = 60  # characters of a value

Inputs = Mapping[str, Sequence[Digest]]
"""Product digests by port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One component of a task key that differs.

    Parameters
    ----------
    component : str
        ``tag``, ``version``, ``source``, ``setting``, ``package``, ``file``, ``stream``,
        ``labels``, ``input``; ``more`` where there are more of a kind than are told.
    text : str
        For people, in a line.
    name : str
        Dotted path of the setting, name of the package, setting of the file, port of the input.
    old, new : str
        Before and now; empty where that says nothing, or is a secret.
    makers : tuple of str
        Tasks that make the product of the input.
    """

    component: str
    text: str
    name: str = ""
    old: str = ""
    new: str = ""
    makers: tuple[str, ...] = ()


def inputs_of(view: TaskView) -> Inputs | None:
    """Return the products that a task was given when it was last tried, None where it was not."""
    if view.cached_event is not None and not view.attempts:
        return view.cached_event.inputs
    return view.attempts[-1].started_event.inputs if view.attempts else None


def key_changes(
    old: Task, old_inputs: Inputs, new: Task, new_inputs: Inputs | None
) -> Iterator[Change]:
    """Yield what of the key of a task differs.

    Parameters
    ----------
    old, new : Task
        The task in two plans.
    old_inputs, new_inputs
        The products it was given; None where they are not known yet.
    """
    nothing: Inputs = dict.fromkeys({*old.inputs, *new.inputs}, ())
    one = key_components(old, {**nothing, **old_inputs})
    two = key_components(new, {**nothing, **(new_inputs or {})})
    for name, words in (("tag", "step type"), ("version", "version of the step")):
        if one[name] != two[name]:
            yield _valued(name, "", str(one[name]), str(two[name]), f"{words}: ")
    yield from _sources(old, new)
    yield from _differences("setting", "", _settings(old, one), _settings(new, two))
    yield from _differences("package", "package ", one["packages"], two["packages"])
    yield from _files(one["files"], two["files"])
    if one.get("stream") != two.get("stream"):
        yield Change(component="stream", text="random stream: its coordinates have other names")
    if one.get("labels") != two.get("labels"):
        yield Change(component="labels", text="gathers other places of the scatter")
    if new_inputs is not None:
        yield from _inputs(new, one["inputs"], two["inputs"])


def _inputs(task: Task, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the ports that are given other products."""
    for port in sorted({*old, *new}):
        if list(old.get(port, ())) == list(new.get(port, ())):
            continue
        refs = task.inputs.get(port, ())
        before, now = old.get(port, ()), new.get(port, ())
        makers = [ref.task for ref in refs]
        if len(before) == len(now) == len(makers):  # those alone whose product is another
            pairs = zip(before, now, makers, strict=True)
            makers = [maker for one, two, maker in pairs if one != two]
        makers = list(dict.fromkeys(makers))
        whose = f" of {_some(makers)}" if makers else ""
        what = f"another product{whose}" if now else "is not connected any more"
        if now and not before:
            what = f"is new: a product{whose}"
        yield Change(
            component="input", name=port, text=f"input {port}: {what}", makers=tuple(makers)
        )


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _sources(old: Task, new: Task) -> Iterator[Change]:
    """Yield the functions that have another source."""
    for name, kind in new.types.items():
        if kind == DIGEST_TYPE and old.settings.get(name) != new.settings.get(name):
            target = str(new.settings.get("callable"))
            yield Change(component="source", name=target, text=f"source of {target} changed")


def _settings(task: Task, components: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings but digests of source, which say nothing to people."""
    settings: Mapping[str, Any] = components["settings"]
    return {name: item for name, item in settings.items() if task.types.get(name) != DIGEST_TYPE}


def _valued(component: str, name: str, old: str, new: str, head: str) -> Change:
    """Return the change of a value; a secret is not told."""
    if name.endswith(f".{SEALED}"):  # a keyed digest stands for the value
        name = name.removesuffix(f".{SEALED}")
        head = head.replace(f"{name}.{SEALED}", name)
        return Change(component=component, name=name, text=f"{head}changed")
    if looks_secret(name.rpartition(".")[2], old + new):
        return Change(component=component, name=name, text=f"{head}changed")
    before, now = (redact_text(f"{text:.{_LONGEST}}") for text in (old, new))
    text = f"{head}{before} {_ARROW} {now}"
    return Change(component=component, name=name, old=before, new=now, text=text)


def _differences(component: str, prefix: str, old: Any, new: Any) -> Iterator[Change]:
    """Yield the leaves that differ, by dotted path."""
    one, two = dict(_leaves(old, "")), dict(_leaves(new, ""))
    changed = [name for name in {**one, **two} if one.get(name, "-") != two.get(name, "-")]
    for name in changed[:MOST_CHANGES]:
        yield _valued(component, name, one.get(name, "-"), two.get(name, "-"), f"{prefix}{name}: ")
    if len(changed) > MOST_CHANGES:
        yield Change(component="more", text=f"and {len(changed) - MOST_CHANGES} more")


def _leaves(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, (list, tuple)) and value:
        for number, item in enumerate(value):
            yield from _leaves(item, f"{at}.{number}")
    else:
        yield at, "not set" if value is None else str(value)


def _files(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the external files whose content or name differs."""
    for setting in sorted({*old, *new}):
        one = dict(old.get(setting, ()))
        two = dict(new.get(setting, ()))
        names = [name for name in sorted({*one, *two}) if one.get(name) != two.get(name)]
        words = {(True, True): "changed", (True, False): "is gone", (False, True): "is new"}
        for name in names[:MOST_CHANGES]:
            yield Change(
                component="file",
                name=setting,
                old=one.get(name, ""),
                new=two.get(name, ""),
                text=f"{setting}: the file {name} {words[name in one, name in two]}",
            )
        if len(names) > MOST_CHANGES:
            more = f"{setting}: and {len(names) - MOST_CHANGES} more files"
            yield Change(component="more", name=setting, text=more)
