"""What the records of a task need to know of their run, and what tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, Task, TaskAlias
from gpwf.core.runs import TaskState
from gpwf.prov.entities import record_file, record_parameter
from gpwf.prov.included import ChildRun, ChildRuns
from gpwf.prov.parameters import leaves
from gpwf.prov.recorder import Recorder, Ref

__all__ = ["Made", "RunContext", "Settings", "Shape", "Span", "Used"]

#: Shapes that are kept; a workflow has one per step and variant of a step.
_MOST_SHAPES = 1024


# Tuples, not dataclasses: there are several per task, and a frozen dataclass takes 1 µs to make.


class Made(NamedTuple):
    """A product, for those who use it."""

    entity: str
    digest: Digest
    time: datetime | None


class Used(NamedTuple):
    """An entity that an activity used as data, with the name of the usage."""

    entity: str
    usage: str


class Settings(NamedTuple):
    """The leaves of a setting as they are used: prepared usages.

    ``here`` say where they came from; ``anywhere`` do not, and paths are left out.
    """

    value: Any
    here: tuple[Any, ...]
    anywhere: tuple[Any, ...]


@dataclass(slots=True, kw_only=True)
class Span:
    """An activity with its times and what it used as data."""

    activity: str
    start: datetime | None
    end: datetime | None
    used: list[Used] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Shape:
    """What the tasks of one step have in common, ready to be recorded.

    Parameters
    ----------
    plans : tuple of str
        Local names of the steps that the tasks are of: several where they compute the same.
    attempt, cached, original : prepared attributes
        Of an attempt, of the use of a cached result, and of the attempt of another run.
    files : tuple of (str, str)
        External files with their roles.
    settings : dict
        By name, those of the last task: mostly those of the next task too.
    """

    plans: tuple[str, ...]
    attempt: Any
    cached: Any
    original: Any
    files: tuple[tuple[str, str], ...]
    settings: dict[str, Settings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What the records of a task need to know of their run.

    Parameters
    ----------
    recorder : Recorder
        Takes the records.
    plan : Plan
        The plan of the run.
    run, engine : str
        Local names of the run's activity and of the engine.
    steps, included : mapping of str to str
        Local names of the plans of the declared steps, and of those that are workflows.
    documents : mapping of str to str
        Local names of the documents that were read, by path.
    children : ChildRuns or None
        Runs of the included workflows; None where there are none.
    live : bool
        True where a driver still works on the run.
    outputs : mapping of str to mapping of str to tuple of str
        Names of the workflow's results that a product is, by port and task.
    aliases : mapping of str to tuple of TaskAlias
        Further names of a task, by its id.
    wanted : frozenset of str
        Tasks whose products other tasks use.
    made : dict
        Their products by task and port, filled as the tasks are recorded.
    """

    recorder: Recorder
    plan: Plan
    run: str
    engine: str
    steps: Mapping[str, str]
    included: Mapping[str, str]
    documents: Mapping[str, str]
    children: ChildRuns | None
    live: bool
    outputs: Mapping[str, Mapping[str, tuple[str, ...]]]
    aliases: Mapping[str, tuple[TaskAlias, ...]]
    wanted: frozenset[str]
    made: dict[str, dict[str, Made]] = field(default_factory=dict)
    shapes: dict[tuple[Any, ...], Shape] = field(default_factory=dict)
    origins: dict[tuple[str, str], Any] = field(default_factory=dict)
    last: list[tuple[Task, Shape]] = field(default_factory=list)  # one at most

    def keep(self, task: Task, port: str, made: Made) -> None:
        """Remember a product where another task uses it."""
        if task.id in self.wanted:
            self.made.setdefault(task.id, {})[port] = made

    def made_by(self, task: str, port: str) -> Made | None:
        """Return a product that is remembered."""
        ports = self.made.get(task)
        return ports.get(port) if ports is not None else None

    def is_inside(self, names: tuple[str, ...]) -> bool:
        """Return True where one of these steps is part of an included workflow."""
        return self.children is not None and any(map(self.children.around, names))

    def child_runs(self, task: Task) -> tuple[ChildRun, ...]:
        """Return the runs within the run that a task is part of, the innermost of its own first."""
        if self.children is None:
            return ()
        return self.children.of_task(task, self.aliases.get(task.id, ()))

    def shape(self, task: Task) -> Shape:
        """Return what a task has in common with others."""
        for last, known in self.last:  # the tasks of a step follow each other
            if (
                task.files is last.files
                and task.origins is last.origins
                and task.types is last.types
                and task.packages is last.packages
                and task.step == last.step
                and not self.aliases
            ):
                return known
        found = self._shape_of(task)
        self.last[:] = [(task, found)]
        return found

    def _shape_of(self, task: Task) -> Shape:
        others = self.aliases.get(task.id)
        names = tuple(dict.fromkeys((task.step, *(item.step for item in others or ()))))
        # What tasks share is one object in a plan, and the plan is kept.
        shared = (task.types, task.origins, task.packages, task.files)
        key = (names, task.place, task.tag, task.version, *map(id, shared))
        found = self.shapes.get(key)
        if found is None:
            if len(self.shapes) >= _MOST_SHAPES:
                self.shapes.clear()
            found = self.shapes[key] = self._shape(task, names)
        return found

    def _shape(self, task: Task, names: tuple[str, ...]) -> Shape:
        recorder = self.recorder
        plans = tuple(self.steps[name] for name in names)
        # What the task key holds of the code, so that it also holds of a cached result
        code: list[tuple[str, Any]] = [
            ("tag", task.tag),
            ("version", task.version),
            *(
                ("software", f"{name}=={version}")
                for name, version in sorted(task.packages.items())
            ),
        ]
        here: list[tuple[str, Any]] = [
            # of a run within the run the task says itself
            *([] if self.is_inside(names) else [("wfprov:wasPartOfWorkflowRun", Ref(self.run))]),
            *(("wfprov:describedByProcess", Ref(plan)) for plan in plans),
            ("step", task.step),
            *code,
            ("place", task.place),
        ]
        return Shape(
            plans=plans,
            attempt=recorder.prepare(here),
            cached=recorder.prepare([*here, ("state", TaskState.CACHED)]),
            original=recorder.prepare([*code, ("state", TaskState.OK)]),
            files=tuple(
                (
                    record_file(
                        recorder,
                        item.path,
                        item.name,
                        item.digest,
                        item.size,
                        identity=self.plan.identities.get(item.digest),
                    ),
                    f"in.{item.setting}",
                )
                for item in task.files
            ),
        )

    def settings(self, task: Task, shape: Shape, key: str, value: Any) -> Settings:
        """Return the leaves of a setting, which are declared then; the shape keeps them."""
        recorder = self.recorder
        if type(value) is int and recorder.quick is not None:
            kind = task.types.get(key) or "int"
            quick = recorder.quick.setting(key, value, kind, self._origin(task, key))
            if quick is not None:
                shape.settings[key] = quick
                return quick
        here, anywhere = [], []
        for item in leaves(str(key), value, task.types):
            entity, role = record_parameter(recorder, item), f"in.{item.name}"
            here.append(recorder.usage(entity, role, self._origin(task, item.name)))
            if item.type != "path":
                anywhere.append(recorder.usage(entity, role))
        found = shape.settings[key] = Settings(value, tuple(here), tuple(anywhere))
        return found

    def _origin(self, task: Task, name: str) -> Any:
        """Return where a setting came from, prepared."""
        origin = task.origins.get(name, ("", ""))
        notes = self.origins.get(origin)
        if notes is None:
            notes = self.recorder.prepare([("origin", origin[0]), ("originPlace", origin[1])])
            self.origins[origin] = notes
        return notes
