"""The source that a function consists of: its module, and what that imports of the same package.

Nothing is imported: a workflow is planned without running the code that it names. Parents of a
module belong to it, since Python runs them first, and so do modules beside it that belong to no
distribution. Modules of other distributions do not: their names are told, and their versions
decide. Modules of the standard library and of gpwf count as given.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gpwf.core.digests import tagged_digest
from gpwf.steps.callables.distributions import distribution_of, is_edited, requirements
from gpwf.steps.callables.imports import imported_names
from gpwf.steps.callables.modules import (
    Module,
    ModuleNotThereError,
    find_module,
    forget_folders,
    top_name,
)

__all__ = ["DIGEST_TYPE", "Source", "read_source", "split_target"]

DIGEST_TYPE = "source digest"
"""Type of the setting that holds a digest, as a plan names it."""

_TAG = "gpwf-source/1"
_GIVEN = frozenset({*sys.stdlib_module_names, "gpwf"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The code that a function depends on.

    Parameters
    ----------
    digest : str
        SHA-256 over names and contents of the modules; where they lie does not matter.
    files : mapping of str to Path
        File of every module, by dotted name.
    digests : mapping of str to str
        SHA-256 of every file.
    distribution : str
        Name of the distribution that the function's package comes from; empty for none.
    packages : tuple of str
        That one and those which it requires, where it is a released one; for code that is edited
        in place, those of everything that it imports. Sorted.
    """

    digest: str
    files: dict[str, Path]
    digests: dict[str, str]
    distribution: str
    packages: tuple[str, ...]


def split_target(target: str) -> tuple[str, str]:
    """Return module and function of ``package.module:function``."""
    module, _, function = target.partition(":")
    return module, function


def read_source(module: str) -> Source:
    """Return the code of a module and of what it imports.

    Parameters
    ----------
    module : str
        Dotted name.

    Raises
    ------
    ModuleNotThereError
        Where it is not on the Python path.
    """
    forget_folders()
    walk = _Walk()
    walk.begin(find_module(module))
    walk.finish()
    own = walk.distributions.get(top_name(module), "")
    packages = {name for name in walk.distributions.values() if name}
    if own and not is_edited(own):
        packages = {own, *requirements(own)}  # its files name far more: tests, what may be missing
    return Source(
        digest=tagged_digest(_TAG, sorted(walk.digests.items())),
        files=walk.files,
        digests=walk.digests,
        distribution=own,
        packages=tuple(sorted(packages)),
    )


@dataclass(slots=True)
class _Walk:
    """The way through the modules that import each other."""

    files: dict[str, Path] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)  # by top-level module
    _own: set[str] = field(default_factory=set)  # top-level modules whose source counts
    _waiting: list[Module] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _known: dict[str, Module] = field(default_factory=dict)

    def begin(self, module: Module) -> None:
        """Start with a module, whatever distribution it is of."""
        top = top_name(module.name)
        self._own.add(top)
        self.distributions[top] = distribution_of(top, find_module(top, self._known).file)
        self._add(module)

    def finish(self) -> None:
        """Follow every import."""
        while self._waiting:
            module = self._waiting.pop()
            if module.file is None:
                continue
            text = module.file.read_bytes()
            self.files[module.name] = module.file
            self.digests[module.name] = hashlib.sha256(text).hexdigest()
            if module.source is not None:
                self._follow(module, text)

    def _follow(self, module: Module, text: bytes) -> None:
        for source, name in set(imported_names(text, module.name, is_package=module.is_package)):
            if source and self._is_own(top_name(source)):
                self._find(source)
                if name and name != "*":
                    self._find(f"{source}.{name}")  # perhaps a module, perhaps a name in one

    def _is_own(self, top: str) -> bool:
        """Tell whether the source of a top-level module counts; keep its distribution if not."""
        if top in self._own:
            return True
        if top in _GIVEN or top in self.distributions:
            return False
        try:
            found = find_module(top, self._known)
        except ModuleNotThereError:  # an import that is tried
            self.distributions[top] = ""
            return False
        self.distributions[top] = distribution_of(top, found.file)
        if not self.distributions[top] and found.source is not None:
            self._own.add(top)  # a module beside it that no version tells of
            return True
        return False

    def _find(self, name: str) -> None:
        if name in self._seen:
            return
        self._seen.add(name)
        try:
            self._add(find_module(name, self._known))
        except ModuleNotThereError:
            return

    def _add(self, module: Module) -> None:
        """Add a module and the packages around it."""
        self._seen.add(module.name)
        self._waiting.append(module)
        for name in _parents(module.name):
            self._find(name)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name
