"""Software that a run was made with, and what differs here."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import gpwf
from gpwf.api.reproduce_inputs import PROGRAM
from gpwf.api.reproduce_recorded import Recorded
from gpwf.core.catalog import StepCatalog
from gpwf.core.digests import digest_file
from gpwf.core.plan import Plan, PlannedFile, Task
from gpwf.errors import UsageError

__all__ = ["SoftwareDifference", "software_differences", "with_present_software", "with_programs"]

_ABSENT = "not installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareDifference:
    """One thing that is not as it was.

    Parameters
    ----------
    what : str
        ``package``, ``step``, ``function``, ``program``: these are part of the task key;
        ``code``, ``python``, ``platform``, ``cpu``, ``gpwf`` are not.
    name : str
        Of the package, the step, the function.
    recorded, present : str
        Version or SHA-256, then and now.
    decides : bool
        True for what is part of a task key.
    """

    what: str
    name: str
    recorded: str
    present: str
    decides: bool


def software_differences(
    recorded: Recorded, plan: Plan, catalog: StepCatalog
) -> list[SoftwareDifference]:
    """Return what differs from the software that a run was made with, the weightiest first.

    Parameters
    ----------
    recorded : Recorded
        The run.
    plan : Plan
        The part of its plan that is to run.
    catalog : StepCatalog
        Step types of this installation.

    Raises
    ------
    UsageError
        Where a newer gpwf made the run, or a step type is not there.
    """
    _refuse_newer(recorded.facts.get("gpwf.version", ""))
    found: dict[tuple[str, str], SoftwareDifference] = {}
    for task in _different(plan):
        for item in _of_task(task, catalog):
            found.setdefault((item.what, item.name), item)
    for item in _of_machine(recorded.facts):
        found.setdefault((item.what, item.name), item)
    return sorted(found.values(), key=lambda item: not item.decides)


def _different(plan: Plan) -> Iterator[Task]:
    """Yield tasks whose software may differ from each other's; a scatter has one as a rule."""
    seen = set()
    for task in plan.tasks:
        callable_ = task.settings.get("callable")
        key = (task.tag, id(task.packages), id(task.implementation), id(task.files), str(callable_))
        if key not in seen:
            seen.add(key)
            yield task


def _refuse_newer(version: str) -> None:
    if _numbers(version) > _numbers(gpwf.__version__):
        raise UsageError(
            f"the run was made by gpwf {version}; this is gpwf {gpwf.__version__}",
            hint=f'pip install "gpwf=={version}"',
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(item) for item in re.findall(r"\d+", version)[:3])


def _of_task(task: Task, catalog: StepCatalog) -> Iterator[SoftwareDifference]:
    if task.tag not in catalog.tags():
        package = task.implementation.get("package", "")
        raise UsageError(
            f"step {task.step}: there is no step type {task.tag} here",
            hint=f"install {package} {task.implementation.get('version', '')}".strip(),
        )

    def differs(what: str, name: str, then: str, now: str, decides: bool) -> SoftwareDifference:
        return SoftwareDifference(what=what, name=name, recorded=then, present=now, decides=decides)

    for name, version in task.packages.items():
        present = _version(name)
        if present != version:
            yield differs("package", name, version, present, True)
    present = catalog.version(task.tag)
    if present != task.version:
        yield differs("step", task.tag, task.version, present, True)
    source = catalog.implementation(task.tag).get("source", "")
    if task.implementation.get("source", source) != source:
        yield differs("code", task.tag, task.implementation["source"], source, False)
    function = str(task.implementation.get("callable", ""))
    if function:
        digest = _source_of(task, catalog)
        then = str(task.settings.get("source_digest") or "")
        if digest != then:
            yield differs("function", function, then, digest or _ABSENT, True)
    for item in task.files:
        if item.setting == PROGRAM:
            now = _program(task, item)
            if now is None or now.digest != item.digest:
                yield differs(
                    "program", item.name, item.digest, now.digest if now else _ABSENT, True
                )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _ABSENT


def _source_of(task: Task, catalog: StepCatalog) -> str:
    """Return the digest of the source of a function as it is here; empty where there is none."""
    config = {name: value for name, value in task.settings.items() if name != "source_digest"}
    settled = catalog.settle(task.tag, config, base=Path(os.sep))
    return str(settled.settings.get("source_digest") or "")


def _program(task: Task, item: PlannedFile) -> PlannedFile | None:
    """Return the program of a command as it is here."""
    argv = task.settings.get("argv") or [item.name]
    place = shutil.which(str(argv[0]))
    if place is None:
        return None
    path = Path(place).absolute()
    try:
        return replace(item, path=str(path), digest=digest_file(path), size=path.stat().st_size)
    except OSError:
        return None


def _of_machine(facts: Mapping[str, str]) -> Iterator[SoftwareDifference]:
    """Yield what differs of interpreter and machine; nothing where the record does not say."""
    from gpwf.prov.environment import capture_environment

    here = capture_environment()
    present = {
        ("python", "Python"): ("python.version", here["python"]["version"]),
        ("gpwf", "gpwf"): ("gpwf.version", here["gpwf"]["version"]),
        ("gpwf", "gpwf commit"): ("gpwf.commit", here["gpwf"].get("commit", "")),
        ("platform", "system"): ("platform.system", platform.system()),
        ("platform", "machine"): ("platform.machine", platform.machine()),
        ("cpu", "processor"): ("cpu", here["cpu"]),
    }
    for (what, name), (fact, now) in present.items():
        then = facts.get(fact, "")
        if then and now and then != now:
            yield SoftwareDifference(
                what=what, name=name, recorded=then, present=str(now), decides=False
            )


def with_programs(plan: Plan) -> Plan:
    """Return the plan with the places where the programs of its commands lie here."""
    known: dict[int, tuple[object, tuple[PlannedFile, ...]]] = {}

    def placed(task: Task) -> Task:
        if all(item.setting != PROGRAM for item in task.files):
            return task
        if id(task.files) not in known:
            files = [
                (_program(task, item) or item) if item.setting == PROGRAM else item
                for item in task.files
            ]
            known[id(task.files)] = (task.files, tuple(files))
        files_here = known[id(task.files)][1]
        return task if files_here == task.files else replace(task, files=files_here)

    return replace(plan, tasks=tuple(placed(task) for task in plan.tasks))


def with_present_software(plan: Plan, catalog: StepCatalog) -> Plan:
    """Return the plan with the software that is here: its tasks have other keys then.

    Raises
    ------
    UsageError
        Where a program or a function is not there at all.
    """
    known: dict[tuple[int, ...], tuple[Task, Task]] = {}

    def present(task: Task) -> Task:
        key = (id(task.settings), id(task.packages), id(task.implementation), id(task.files))
        if key not in known:
            known[key] = (task, _present(task, catalog))
        made = known[key][1]
        return replace(
            task,
            version=made.version,
            settings=made.settings,
            packages=made.packages,
            implementation=made.implementation,
            files=made.files,
        )

    return replace(plan, tasks=tuple(present(task) for task in plan.tasks))


def _present(task: Task, catalog: StepCatalog) -> Task:
    settings = task.settings
    if task.implementation.get("callable"):
        digest = _source_of(task, catalog)
        if not digest:
            raise UsageError(
                f"step {task.step}: there is no function {task.implementation['callable']} here",
                hint="install its package, or add its folder to PYTHONPATH",
            )
        settings = {**settings, "source_digest": digest}
    files = []
    for item in task.files:
        now = _program(task, item) if item.setting == PROGRAM else item
        if now is None:
            raise UsageError(f"step {task.step}: there is no program {item.name} here")
        files.append(now)
    absent = [name for name in catalog.packages(task.tag, settings) if _version(name) == _ABSENT]
    if absent:
        raise UsageError(f"step {task.step} needs {', '.join(absent)}", hint="install it")
    return replace(
        task,
        version=catalog.version(task.tag),
        settings=settings,
        packages={name: _version(name) for name in catalog.packages(task.tag, settings)},
        implementation=catalog.implementation(task.tag, settings),
        files=tuple(files),
    )
