"""Import a function in a worker, and make sure that it is the one that was planned.

A worker may be older than the code: what it has imported of another version goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.callables.modules import ModuleNotThereError, forget_folders
from gpwf.steps.callables.source import Source, read_source, split_target

__all__ = ["check_late_imports", "load_module", "planned_source"]

_BEGAN_NS = time.time_ns()
_SOURCES: dict[tuple[str, str], Source] = {}  # by module and digest: they agree with what is loaded
_DIGESTS: dict[str, str] = {}  # of the file that every loaded module came from
_SEEN: dict[str, tuple[int, int]] = {}  # time and size of the files of others, when last read


def planned_source(target: str, digest: str) -> Source:
    """Return the source of a function whose loaded code is the planned one.

    Parameters
    ----------
    target : str
        ``package.module:function``.
    digest : str
        Digest of its source in the plan.

    Raises
    ------
    StepError
        Where the files are others by now.
    """
    module, _ = split_target(target)
    known = _SOURCES.get((module, digest))
    if known is not None and all(
        _DIGESTS.get(name, found) == found for name, found in known.digests.items()
    ):
        return known
    source = _read(target)
    if source.digest != digest:
        raise _changed(target)
    return source


def load_module(target: str, source: Source, loading: Callable[[], Any]) -> Any:
    """Return the imported module of a function.

    Parameters
    ----------
    target : str
        ``package.module:function``.
    source : Source
        As `planned_source` returns it.
    loading : callable
        Gives a context in which the module is imported: it is the code of others.

    Raises
    ------
    StepError
        Where the files change meanwhile, and where an older version cannot be removed.
    """
    module, _ = split_target(target)
    if _SOURCES.get((module, source.digest)) is source and module in sys.modules:
        return sys.modules[module]
    if any(_is_stale(name, source) for name in source.files):
        _unload(target, source)
    _drop_old_bytecode(source.files)
    forget_folders()
    with loading():
        found = importlib.import_module(module)
    if _read(target).digest != source.digest:
        _unload(target, source)
        raise _changed(target)
    _note(source)
    _SOURCES[module, source.digest] = source
    return found


def check_late_imports(target: str, source: Source) -> None:
    """Check the modules that were not loaded yet when a function began.

    It may have imported them since, in this process or in others of its own. Those that had been
    loaded may change: what runs is the code of the plan.

    Raises
    ------
    StepError
        Where one is not as it was planned.
    """
    late = [name for name in source.files if name not in _DIGESTS]
    for name in late:
        stat = source.files[name].stat()
        if name not in sys.modules and (stat.st_mtime_ns, stat.st_size) == _SEEN.get(name):
            continue
        if hashlib.sha256(source.files[name].read_bytes()).hexdigest() != source.digests[name]:
            _unload(target, source)
            raise _changed(target)
        _SEEN[name] = stat.st_mtime_ns, stat.st_size
    _note(source)


def _read(target: str) -> Source:
    try:
        return read_source(split_target(target)[0])
    except ModuleNotThereError as error:
        raise StepError(
            f"{target}: there is no module {error.name} for this worker",
            hint="a module is found here where it is found by the command that plans; on other "
            "machines it must be installed, too",
        ) from None


def _changed(target: str) -> StepError:
    return StepError(
        f"the source of {target} has changed since the plan was made",
        hint="run again when nobody writes to it any more",
    )


def _note(source: Source) -> None:
    _DIGESTS.update((name, source.digests[name]) for name in source.files if name in sys.modules)


def _is_stale(name: str, source: Source) -> bool:
    """Tell whether a module is loaded from a file that may have been another one."""
    if name not in sys.modules:
        return False
    if name in _DIGESTS:
        return _DIGESTS[name] != source.digests[name]
    return source.files[name].stat().st_mtime_ns > _BEGAN_NS


def _unload(target: str, source: Source) -> None:
    """Make Python import the modules of a function again."""
    compiled = [
        name for name, file in source.files.items() if name in sys.modules and file.suffix != ".py"
    ]
    if compiled:
        raise StepError(
            f"{target}: this worker has imported an earlier version of {compiled[0]}, which is "
            "compiled and cannot be imported twice",
            hint="start the workers anew",
        )
    for name in source.files:
        sys.modules.pop(name, None)
        _DIGESTS.pop(name, None)


def _drop_old_bytecode(files: Mapping[str, Path]) -> None:
    """Remove compiled code that is older than its source.

    Python compares whole seconds and sizes: it would run the old code where a file was edited twice
    in a second.
    """
    for name, file in files.items():
        if name in sys.modules or file.suffix != ".py":
            continue
        with contextlib.suppress(OSError, NotImplementedError):
            compiled = Path(importlib.util.cache_from_source(str(file)))
            if compiled.stat().st_mtime_ns < file.stat().st_mtime_ns:
                compiled.unlink()
