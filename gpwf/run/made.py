"""What the tasks of a run have made, as long as somebody needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gpwf.core.digests import TaskKey
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


def _read_by(task: Task) -> set[str]:
    return {ref.task for refs in task.inputs.values() for ref in refs}
