"""Task keys: what decides that two computations are the same.

A key is the SHA-256 of step tag, step version, settled settings, the content of every input and
the versions of the packages that can change the result. Paths, names of steps, run ids, executor
and log level are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.core.digests import Digest, TaskKey, tagged_digest
from gpwf.core.plan import PlannedFile, Task

__all__ = ["SEALED", "key_components", "task_key"]

_TAG = "gpwf-task/1"

#: Key of the mapping that stands for a setting that must not be recorded.
SEALED = "sealed"


def task_key(task: Task, inputs: Mapping[str, Sequence[Digest]]) -> TaskKey:
    """Return the key of a task whose inputs are known.

    Parameters
    ----------
    task : Task
        Task of a plan.
    inputs : mapping of str to sequence of Digest
        Product digests by port, in the order of the wiring.

    Raises
    ------
    ValueError
        Where a connected port has no digests.
    """
    return TaskKey(tagged_digest(_TAG, key_components(task, inputs)))


def key_components(task: Task, inputs: Mapping[str, Sequence[Digest]]) -> dict[str, Any]:
    """Return what the key is made of, by name of the component."""
    missing = sorted(set(task.inputs) - set(inputs))
    if missing:
        raise ValueError(f"task {task.id}: no digest for input {', '.join(missing)}")
    components = {
        "tag": task.tag,
        "version": task.version,
        "settings": _without_paths(task.settings, task.types, task.sealed),
        "files": _contents(task.files),
        "inputs": {port: list(inputs[port]) for port in task.inputs},
        "packages": dict(task.packages),
    }
    # left out where there is nothing, as in the keys of results that were made before scatter
    if task.labels:
        components["labels"] = {port: list(items) for port, items in task.labels.items()}
    if task.stream:
        components["stream"] = list(task.stream)
    return components


def _contents(files: Sequence[PlannedFile]) -> dict[str, list[list[str]]]:
    """Return (name, digest) of the external files by setting; where they lie does not matter."""
    contents: dict[str, list[list[str]]] = {}
    for item in files:
        contents.setdefault(item.setting, []).append([item.name, item.digest])
    return {setting: sorted(items) for setting, items in contents.items()}


def _without_paths(
    settings: Any, types: Mapping[str, str], sealed: Mapping[str, str], at: str = ""
) -> Any:
    """Return the settings with every path replaced by a mark: paths enter by content.

    What must not be recorded enters by a keyed digest: of everything else in the key the record
    tells, and a short secret could be guessed.
    """
    if at in sealed and types.get(at) != "path":
        return {SEALED: sealed[at]}
    if isinstance(settings, Mapping):
        return {
            key: _without_paths(value, types, sealed, f"{at}.{key}" if at else str(key))
            for key, value in settings.items()
        }
    if isinstance(settings, (list, tuple)):
        return [_without_paths(item, types, sealed, f"{at}.{n}") for n, item in enumerate(settings)]
    if types.get(at) == "path" and settings is not None:
        return {"path": "by content"}
    return settings
