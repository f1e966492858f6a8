"""What the tasks of a run have made, as long as somebody needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import Plan, Task
from gpwf.core.runs import Product
from gpwf.store.results import ResultStore

__all__ = ["MadeProducts"]


class MadeProducts:
    """Products by task; those that no task waits for are looked up in the store again.

    Of a run with a million tasks only those stay in memory that are between two others.

    Parameters
    ----------
    plan : Plan
        Says who reads whose products.
    results : ResultStore
        Where they are recorded.
    """

    def __init__(self, plan: Plan, results: ResultStore) -> None:
        self._results = results
        self._readers = Counter(
            name
            for task in plan.tasks
            for name in {r.task for i in task.inputs.values() for r in i}
        )
        self._held: dict[str, Mapping[str, Product]] = {}
        self._keys: dict[str, TaskKey] = {}

    def add(self, task: str, key: TaskKey, products: Mapping[str, Product]) -> None:
        """Take in what a task has made."""
        self._keys[task] = key
        if self._readers[task] > 0:
            self._held[task] = products

    def used_by(self, task: Task) -> None:
        """Take in that a task needs its inputs no more."""
        for name in _read_by(task):
            self._readers[name] -= 1
            if self._readers[name] <= 0:
                self._held.pop(name, None)

    def of(self, task: str) -> Mapping[str, Product]:
        """Return the products of a task; nothing where it made none."""
        held = self._held.get(task)
        if held is not None:
            return held
        key = self._keys.get(task)
        found = self._results.get(key) if key is not None else None
        return found.products if found is not None else {}

    def inputs(self, task: Task) -> dict[str, tuple[Product, ...]]:
        """Return the input products of a task, by port; nothing of them may be `absent`."""
        return {
            port: tuple(self.of(ref.task)[ref.product] for ref in refs)
            for port, refs in task.inputs.items()
        }

    def gathered(self, task: Task) -> Task:
        """Return a task whose gathering inputs hold only what was made."""
        missing = {
            ref
            for port in task.labels
            for ref in task.inputs[port]
            if ref.product not in self.of(ref.task)
        }
        if not missing:
            return task
        inputs, labels = dict(task.inputs), dict(task.labels)
        for port in task.labels:
            pairs = zip(task.inputs[port], task.labels[port], strict=True)
            kept = [(ref, label) for ref, label in pairs if ref not in missing]
            inputs[port] = tuple(ref for ref, _ in kept)
            labels[port] = tuple(label for _, label in kept)
        return replace(task, inputs=inputs, labels=labels)

    def absent(self, task: Task) -> str:
        """Return which input an upstream task did not give (its port is optional), or nothing."""
        for port, refs in task.inputs.items():
            if not refs:
                return f"there is nothing to gather for the input {port}"
            for ref in refs:
                if ref.product not in self.of(ref.task):
                    return f"{ref.task} gave no {ref.product}"
        return ""

    def makers(self, task: Task, damaged: Collection[Digest]) -> list[str]:
        """Return the tasks above one whose products hold these bytes."""
        found = [
            ref.task
            for refs in task.inputs.values()
            for ref in refs
            if any(item.digest in damaged for item in self.of(ref.task)[ref.product].files)
        ]
        return list(dict.fromkeys(found))


def _read_by(task: Task) -> set[str]:
    return {ref.task for refs in task.inputs.values() for ref in refs}
