"""What the records say of a task, and of the run that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from gpwf.errors import UsageError
from gpwf.prov.lineage import Lineage
from gpwf.prov.lineage_build import Kind, Relation, key_of
from gpwf.prov.lineage_index import Thing

__all__ = ["CONDITIONS", "Facts", "number_of", "setting_text"]

#: What `Facts.fulfils` can ask for, apart from axes and settings.
CONDITIONS = ("state", "step", "task", "tag", "attempt", "host", "worker", "error", "key", "run")
_PLAIN = {
    "state": "state",
    "tag": "tag",
    "attempt": "attempt",
    "host": "host",
    "worker": "worker",
    "error": "errorKind",
    "key": "taskKey",
}


def number_of(text: str) -> float | None:
    """Return the number that a text is, None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def setting_text(value: str, unit: str) -> str:
    """Return a setting as people write it."""
    return f"{value} {unit}" if unit else value


class Facts:
    """Looks up what belongs to a task.

    Parameters
    ----------
    lineage : Lineage
        The records.
    """

    def __init__(self, lineage: Lineage) -> None:
        self.lineage = lineage
        self._hits: dict[int, list[Thing]] = {}
        self._runs: dict[str, str] = {}
        self._root: dict[str, Thing] = {}

    def prepare(self, items: Iterable[Thing]) -> None:
        """Look up at once what will be asked of many tasks."""
        keys = [
            item.key for item in items if item.kind is Kind.ATTEMPT and item.key not in self._hits
        ]
        edges = self.lineage.effects(keys, Relation.INFORMED)
        hits = {item.key: item for item in self.lineage.things(edge.effect for edge in edges)}
        self._hits.update((key, []) for key in keys)
        for edge in edges:
            if edge.effect in hits and hits[edge.effect].kind is Kind.CACHED:
                self._hits[edge.cause].append(hits[edge.effect])

    def hits_of(self, item: Thing) -> list[Thing]:
        """Return who took the result of an attempt from the store."""
        if item.key not in self._hits:
            self.prepare([item])
        return self._hits.get(item.key, [])

    def told_of(self, item: Thing) -> Thing:
        """Return the activity that names the task; an attempt of an earlier run does not."""
        if item.get("task") or item.kind is not Kind.ATTEMPT:
            return item
        hits = self.hits_of(item)
        return hits[0] if hits else item

    def is_of_another_run(self, item: Thing) -> bool:
        """Return True for an attempt that only those tell of who took its result."""
        return item.kind is Kind.ATTEMPT and not item.get("task")

    # ---- runs ----------------------------------------------------------------------------------

    def run_of(self, item: Thing) -> str:
        """Return the id of the run of an activity, empty where the record has none."""
        name = item.get("wfprov:wasPartOfWorkflowRun") or (item.id if item.kind is Kind.RUN else "")
        if not name:
            return ""
        if name not in self._runs:
            self._runs[name] = self.root_run(name).get("runId") or name.partition("run-")[2]
        return self._runs[name]

    def root_run(self, name: str) -> Thing:
        """Return the run that was started by hand: a workflow in it is a run that it started."""
        if name in self._root:
            return self._root[name]
        run = self.lineage.thing(key_of(name))
        seen = {run.key}
        while True:
            above = [
                edge.cause
                for edge in self.lineage.causes((run.key,), Relation.STARTED)
                if edge.cause not in seen
            ]
            parent = run.get("wfprov:wasPartOfWorkflowRun")
            if not above and parent and key_of(parent) not in seen:
                above = [key_of(parent)]
            runs = [item for item in self.lineage.things(above) if item.kind is Kind.RUN]
            if not runs:
                break
            run = runs[0]
            seen.add(run.key)
        self._root[name] = run
        return run

    def environments(self, runs: Iterable[str]) -> list[dict[str, Any]]:
        """Return the recorded environments of runs, given by their ids."""
        wanted = set(runs)
        found: list[dict[str, Any]] = []
        done: set[str] = set()
        for record in self.lineage.records:
            for run in self.lineage.things(record.of_kind(Kind.RUN)):
                name = run.get("runId")
                if name not in wanted or name in done:
                    continue
                facts = self.environment_of(run)
                if facts:
                    done.add(name)
                    found.append({"run": name, "facts": facts})
        return found

    def environment_of(self, run: Thing) -> dict[str, str]:
        """Return the facts on the environment of a run, by name."""
        used = self.lineage.causes((run.key,), Relation.USED)
        for item in self.lineage.things(edge.cause for edge in used):
            if item.kind is Kind.ENVIRONMENT:
                pairs = [text.partition("=") for text in item.values.get("environment", ())]
                return {name: value for name, _, value in pairs}
        return {}

    def distributions_of(self, run: Thing) -> dict[str, str]:
        """Return the installed distributions of a run with their versions."""
        used = self.lineage.causes((run.key,), Relation.USED)
        for item in self.lineage.things(edge.cause for edge in used):
            if item.kind is Kind.ENVIRONMENT:
                pairs = [text.partition("==") for text in item.values.get("distribution", ())]
                return {name: version for name, _, version in pairs}
        return {}

    def plans_of(self, item: Thing) -> list[int]:
        """Return the steps that an attempt carried out."""
        return [key_of(name) for name in item.values.get("wfprov:describedByProcess", ())]

    # ---- conditions ----------------------------------------------------------------------------

    def fulfils(self, item: Thing, name: str, wanted: str) -> bool:
        """Return whether an attempt is what is asked for; ``*`` stands for anything.

        Parameters
        ----------
        item : Thing
            The attempt.
        name : str
            ``state``, ``step``, ``task``, ``tag``, ``attempt``, ``host``, ``worker``, ``error``,
            ``key``, ``run``, a distribution (``gammapy=2.*``), an axis of a scatter, or a setting.
        wanted : str
            Value.

        Raises
        ------
        UsageError
            For an empty name.
        """
        if not name:
            raise UsageError("a condition needs a name", hint="--where state=failed")
        told = self.told_of(item)
        if name in _PLAIN:
            text = item.get(_PLAIN[name])
            return fnmatchcase(text, wanted) or (name == "key" and text.startswith(wanted))
        if name in ("step", "task"):
            names = (*told.values.get(name, ()), *told.values.get("otherName", ()))
            return any(fnmatchcase(_literal(text), _literal(wanted)) for text in names)
        if name == "run":
            run = self.run_of(item)
            return fnmatchcase(run, wanted) or run.startswith(wanted)
        for text in item.values.get("software", ()):
            package, _, version = text.partition("==")
            if package == name:
                return fnmatchcase(version, wanted)
        for text in told.values.get("coordinate", ()):
            axis, _, value = text.partition("=")
            if name in (axis, axis.rpartition("/")[2]):
                return _matches(value, wanted)
        if any(_matches(text, wanted) for text in item.values.get(name, ())):
            return True  # whatever else the record says of the attempt
        return self._has_setting(item, name, wanted)

    def _has_setting(self, item: Thing, name: str, wanted: str) -> bool:
        edges = self.lineage.causes((item.key,), Relation.SETTING)
        for setting in self.lineage.things(edge.cause for edge in edges):
            own = setting.get("voprov:name")
            if own == name or own.endswith(f".{name}"):
                text = setting_text(setting.get("prov:value"), setting.get("voprov:unit"))
                if _matches(text, wanted):
                    return True
        return False


def _literal(text: str) -> str:
    """Return a text in which brackets, which ids of tasks have, mean nothing."""
    return text.replace("[", "(").replace("]", ")")


def _matches(text: str, wanted: str) -> bool:
    if fnmatchcase(text, wanted):
        return True
    one, two = text.partition(" "), wanted.partition(" ")
    number = number_of(one[0])
    return number is not None and number == number_of(two[0]) and one[2] == two[2]
