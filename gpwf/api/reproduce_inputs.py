"""Inputs of a recorded run: whether they are there with the recorded bytes, and where."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from gpwf.core.catalog import StepCatalog
from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, PlannedFile, Task
from gpwf.errors import PlanError, StepInputError, UsageError
from gpwf.store.inputs import StatCache

__all__ = ["PROGRAM", "Folders", "InputCheck", "InputState", "check_inputs", "relocate"]

#: Setting of the program of a command: that is software, not an input.
PROGRAM = "argv.0"
_DATA = "GAMMAPY_DATA"


class InputState(StrEnum):
    """How a recorded input stands."""

    SAME = "same"
    ELSEWHERE = "elsewhere"
    CHANGED = "changed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCheck:
    """One recorded input file.

    Parameters
    ----------
    path : str
        Where it was.
    digest : Digest
        SHA-256 that it had.
    size : int
        Its size in bytes.
    state : InputState
        How it stands.
    found : Path or None
        Where these bytes are now.
    steps : tuple of str
        The steps that read it.
    """

    path: str
    digest: Digest
    size: int
    state: InputState
    found: Path | None
    steps: tuple[str, ...]

    @property
    def is_there(self) -> bool:
        """True where a file has the recorded bytes."""
        return self.found is not None


class Folders:
    """Folders in which inputs are looked for: by name and digest, then by size and digest.

    Parameters
    ----------
    folders : sequence of Path
        Looked through once, when the first file is looked for.
    moved : mapping of str to str
        Folders that lie elsewhere now: ``GAMMAPY_DATA`` then and now.

    Raises
    ------
    UsageError
        Where one is no folder.
    """

    def __init__(
        self, folders: Sequence[Path] = (), moved: Mapping[str, str] | None = None
    ) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise UsageError(f"--inputs {folder}: there is no such folder")
        self._folders = tuple(folders)
        self._moved = dict(moved or {})
        self._by_name: dict[str, list[Path]] | None = None
        self._by_size: dict[int, list[Path]] = defaultdict(list)

    def candidates(self, item: PlannedFile) -> Iterator[Path]:
        """Yield files that may be this input, the likeliest first."""
        for old, new in self._moved.items():
            if item.path.startswith(old.rstrip("/") + "/"):
                yield Path(new) / os.path.relpath(item.path, old)
        names = self._names()
        likely = names.get(Path(item.path).name, [])
        # of several with the same name the one in the most similar place goes first
        yield from sorted(likely, key=lambda path: -_common_end(str(path), item.path))
        yield from (path for path in self._by_size.get(item.size, ()) if path not in likely)

    def _names(self) -> dict[str, list[Path]]:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for folder in self._folders:
                for path, size in _files(folder):
                    self._by_name[path.name].append(path)
                    self._by_size[size].append(path)
        return self._by_name


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    seen = set()
    for root, names, files in os.walk(folder, followlinks=True):
        here = Path(root).resolve()
        if here in seen:  # a link that leads back
            names.clear()
            continue
        seen.add(here)
        for name in files:
            path = Path(root, name).absolute()
            try:
                if path.is_file():
                    yield path, path.stat().st_size
            except OSError:
                continue


def _common_end(one: str, two: str) -> int:
    """Return how many of the last parts of two paths are the same."""
    pairs = zip(reversed(Path(one).parts), reversed(Path(two).parts), strict=False)
    count = 0
    for first, second in pairs:
        if first != second:
            break
        count += 1
    return count


def check_inputs(plan: Plan, folders: Folders) -> list[InputCheck]:
    """Return every input file of a plan with what is there now, in the order of the plan."""
    steps: dict[tuple[str, str], dict[str, None]] = {}
    files: dict[tuple[str, str], PlannedFile] = {}
    for task in plan.tasks:
        for item in task.files:
            if item.setting != PROGRAM:
                files.setdefault((item.path, item.digest), item)
                steps.setdefault((item.path, item.digest), {})[task.step] = None
    digests = StatCache(Path(os.devnull))  # remembers within this process
    return [_check(item, tuple(steps[key]), folders, digests) for key, item in files.items()]


def _check(
    item: PlannedFile, steps: tuple[str, ...], folders: Folders, digests: StatCache
) -> InputCheck:
    def result(state: InputState, found: Path | None) -> InputCheck:
        return InputCheck(
            path=item.path,
            digest=item.digest,
            size=item.size,
            state=state,
            found=found,
            steps=steps,
        )

    here = Path(item.path)
    if _has(here, item, digests):
        return result(InputState.SAME, here)
    for path in folders.candidates(item):
        if _has(path, item, digests):
            return result(InputState.ELSEWHERE, path)
    return result(InputState.CHANGED if here.is_file() else InputState.MISSING, None)


def _has(path: Path, item: PlannedFile, digests: StatCache) -> bool:
    try:
        if item.size not in (0, path.stat().st_size):  # 0: a record without sizes
            return False
        return digests.digest(path)[0] == item.digest
    except OSError:
        return False


def relocate(plan: Plan, checks: Iterable[InputCheck], farm: Path, catalog: StepCatalog) -> Plan:
    """Return the plan with the paths of this machine.

    What a setting names moves as a whole: where all its files lie in one folder with the recorded
    names, to that folder; otherwise to a folder of links in ``farm``.

    Parameters
    ----------
    plan : Plan
        As recorded.
    checks : iterable of InputCheck
        Of all its inputs, all of them there.
    farm : Path
        Folder for links.
    catalog : StepCatalog
        Tells which files the steps read with their new settings.

    Raises
    ------
    PlanError
        Where a step would read other files: a path is written in one of its inputs.
    """
    found = {check.path: check.found for check in checks if check.found is not None}
    if all(str(path) == name for name, path in found.items()):
        return plan
    mover = _Mover(found, farm)
    tasks = tuple(mover.task(task) for task in plan.tasks)
    moved = replace(plan, tasks=tasks)
    _check_files(moved, plan, catalog)
    return moved


class _Mover:
    """Gives tasks new paths; what tasks share stays shared."""

    def __init__(self, found: Mapping[str, Path], farm: Path) -> None:
        self._found = found
        self._farm = farm
        self._places: dict[str, Path] = {}
        self._settings: dict[int, tuple[Any, Any]] = {}
        self._files: dict[tuple[int, int], tuple[Any, tuple[PlannedFile, ...]]] = {}

    def task(self, task: Task) -> Task:
        if not any(str(self._found.get(item.path, item.path)) != item.path for item in task.files):
            return task
        roots = sorted(set(_paths(task.settings, task.types)), key=len)
        places = {root: self._place(root, task.files) for root in roots}
        key = (id(task.files), id(task.settings))
        if key not in self._files:
            files = [self._file(item, places) for item in task.files]
            files.sort(key=lambda item: (item.setting, item.name, item.path))
            self._files[key] = ((task.files, task.settings), tuple(files))
        if id(task.settings) not in self._settings:
            settings = _replaced(task.settings, task.types, places)
            self._settings[id(task.settings)] = (task.settings, settings)
        return replace(
            task, files=self._files[key][1], settings=self._settings[id(task.settings)][1]
        )

    def _file(self, item: PlannedFile, places: Mapping[str, Path]) -> PlannedFile:
        for root, place in places.items():
            if item.path == root or item.path.startswith(root.rstrip("/") + "/"):
                rest = os.path.relpath(item.path, root)
                return replace(item, path=str(place if rest == "." else place / rest))
        return replace(item, path=str(self._found.get(item.path, item.path)))

    def _place(self, root: str, files: Sequence[PlannedFile]) -> Path:
        """Return where a path of a setting is now."""
        if root not in self._places:
            inside = {
                os.path.relpath(item.path, root): self._found.get(item.path, Path(item.path))
                for item in files
                if item.path == root or item.path.startswith(root.rstrip("/") + "/")
            }
            self._places[root] = self._whole(root, inside) or self._linked(root, inside)
        return self._places[root]

    def _whole(self, root: str, inside: Mapping[str, Path]) -> Path | None:
        """Return the one folder, or file, that holds everything under the recorded names."""
        if not inside:
            return Path(root)
        ends = set()
        for name, path in inside.items():
            if name == "." and path.name == Path(root).name:  # the name of a file counts
                ends.add(str(path))
            elif str(path).endswith(f"/{name}"):
                ends.add(str(path).removesuffix(f"/{name}"))
            else:
                return None
        return Path(ends.pop()) if len(ends) == 1 else None

    def _linked(self, root: str, inside: Mapping[str, Path]) -> Path:
        place = self._farm / root.lstrip("/")
        for name, path in inside.items():
            link = place if name == "." else place / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(path)
        return place


def _paths(settings: Any, types: Mapping[str, str], at: str = "") -> Iterator[str]:
    """Yield the paths in settings."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _paths(value, types, f"{at}.{key}" if at else str(key))
    elif isinstance(settings, (list, tuple)):
        for number, item in enumerate(settings):
            yield from _paths(item, types, f"{at}.{number}")
    elif types.get(at) == "path" and isinstance(settings, str):
        yield settings


def _replaced(
    settings: Any, types: Mapping[str, str], places: Mapping[str, Path], at: str = ""
) -> Any:
    if isinstance(settings, Mapping):
        return {
            key: _replaced(value, types, places, f"{at}.{key}" if at else str(key))
            for key, value in settings.items()
        }
    if isinstance(settings, (list, tuple)):
        return [_replaced(item, types, places, f"{at}.{n}") for n, item in enumerate(settings)]
    if types.get(at) == "path" and settings in places:
        return str(places[settings])
    return settings


def _check_files(plan: Plan, recorded: Plan, catalog: StepCatalog) -> None:
    """Check that the steps whose settings moved read the files that were found, and no others."""
    seen: set[str | None] = set()
    for task, before in zip(plan.tasks, recorded.tasks, strict=True):
        if task is before:
            continue
        key = catalog.files_key(task.tag, task.settings, task.types)
        if key in seen:
            continue
        seen.add(key)
        try:
            would = {
                (item.setting, item.name, str(item.path))
                for item in catalog.external_files(task.tag, task.settings)
                if item.setting != PROGRAM
            }
        except StepInputError as error:
            raise PlanError(f"step {task.step}: {error.message}", hint=_HINT) from None
        known = {
            (item.setting, item.name, item.path) for item in task.files if item.setting != PROGRAM
        }
        strange = sorted(path for _, _, path in would ^ known)
        if strange:
            raise PlanError(
                f"step {task.step} would read other files than those recorded: {strange[0]}",
                hint=_HINT,
            )


_HINT = (
    "a path is written inside one of its inputs; put the files where they were, or set "
    f"{_DATA} to the folder that holds them"
)
