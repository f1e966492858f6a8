"""What differs of one task between two records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from gpwf.prov.diff_answers import MISSING, Change
from gpwf.prov.diff_facts import TaskFacts

__all__ = [
    "SOURCE",
    "change_of",
    "code_changes",
    "file_changes",
    "mapping_changes",
    "origin_of",
    "same_files",
]

#: How the files of two sides are paired: by path, then by name, then one by one.
_LIKENESSES: tuple[Callable[[str], str], ...] = (
    lambda path: path,
    lambda path: path.rpartition("/")[2],
    lambda _: "",
)
#: What the code of a function that a step calls is called.
SOURCE = "source of the function"
_CODE_NAMES = {
    "tag": "step type",
    "version": "version of the step type",
    "package": "package",
    "packageVersion": "package version",
    "sourceDigest": "source",
    "callable": "function",
    "callableSource": SOURCE,
}


def change_of(
    category: str, step: str, name: str, a: str, b: str, task: TaskFacts | None
) -> Change:
    """Return a change of a task."""
    tasks = (task.task,) if task is not None else ()
    return Change(
        category=category, step=step, name=name, a=a or MISSING, b=b or MISSING, tasks=tasks
    )


def mapping_changes(
    category: str, step: str, one: Mapping[str, str], two: Mapping[str, str], task: str
) -> Iterator[Change]:
    """Yield the names whose values differ."""
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            change = change_of(category, step, name, one.get(name, ""), two.get(name, ""), None)
            yield replace(change, tasks=(task,) if task else ())


def code_changes(one: TaskFacts, two: TaskFacts) -> Iterator[Change]:
    """Yield what differs of the code of a step."""
    for name, words in _CODE_NAMES.items():
        if one.code.get(name, "") != two.code.get(name, ""):
            yield change_of(
                "code", one.step, words, one.code.get(name, ""), two.code.get(name, ""), one
            )


def file_changes(one: TaskFacts, two: TaskFacts) -> Iterator[Change]:
    """Yield the external files whose content differs."""
    for setting in dict.fromkeys((*one.files, *two.files)):
        mine, other = one.files.get(setting, {}), two.files.get(setting, {})
        gone = {path: d for path, d in mine.items() if d not in other.values()}
        new = {path: d for path, d in other.items() if d not in mine.values()}
        for path, twin in _paired(gone, new):
            name = path or twin
            yield change_of(
                "inputs",
                one.step,
                name if path == twin or not (path and twin) else f"{path} and {twin}",
                gone.get(path, MISSING),
                new.get(twin, MISSING),
                one,
            )


def _paired(gone: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pair files: by path, then by name, then one by one."""
    left, right = dict(gone), dict(new)
    for like in _LIKENESSES:
        places = {like(path): path for path in reversed(list(right))}
        for path in list(left):
            twin = places.pop(like(path), None)
            if twin is not None:
                del left[path], right[twin]
                yield path, twin
    yield from ((path, "") for path in left)
    yield from (("", path) for path in right)


def same_files(name: str, one: TaskFacts, two: TaskFacts) -> bool:
    """Return whether the files that a setting names have the same content on both sides."""
    found = []
    for task in (one, two):
        files = {
            key: value
            for key, value in task.files.items()
            if key == name or name.startswith(f"{key}.") or key.startswith(f"{name}.")
        }
        found.append(sorted(digest for item in files.values() for digest in item.values()))
    return bool(found[0]) and found[0] == found[1]


def origin_of(notes: Mapping[str, list[str]]) -> tuple[str, str]:
    """Return origin and place of a setting, given the attributes of its usage."""
    return "".join(notes.get("origin", ())[:1]), "".join(notes.get("originPlace", ())[:1])
