"""Where modules are, found without importing them or the packages around them.

`importlib.util.find_spec` imports the parents of a module; here only finders are asked, so that a
workflow can be opened without running a line of the code that it names.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.machinery
import importlib.util
import pkgutil
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Module", "ModuleNotThereError", "find_module", "forget_folders", "top_name"]

_SUFFIX = ".py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module that was found.

    Parameters
    ----------
    name : str
        Dotted name.
    file : Path or None
        Its source, or the compiled library; None for one that has no file of its own.
    locations : tuple of str
        Folders of its submodules; empty for a module that is no package.
    """

    name: str
    file: Path | None
    locations: tuple[str, ...] = ()

    @property
    def is_package(self) -> bool:
        """True where it may have submodules."""
        return bool(self.locations)

    @property
    def source(self) -> Path | None:
        """The Python source; None where there is none to read."""
        return self.file if self.file is not None and self.file.suffix == _SUFFIX else None


class ModuleNotThereError(LookupError):
    """A module, or one of the packages around it, is not on the Python path.

    Parameters
    ----------
    name : str
        The outermost part that is not there, dotted.
    parent : Module or None
        The package that it would be in, which is there; None for a part without dots.
    """

    def __init__(self, name: str, parent: Module | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.parent = parent

    def near(self) -> str:
        """Return a module that is there and has nearly the same name; empty for none."""
        if self.parent is None:
            names = {item.name for item in pkgutil.iter_modules()} | sys.stdlib_module_names
        else:
            names = {item.name for item in pkgutil.iter_modules(list(self.parent.locations))}
        last = self.name.rpartition(".")[2]
        found = difflib.get_close_matches(last, sorted(names), n=1)
        if not found:
            return ""
        return found[0] if self.parent is None else f"{self.parent.name}.{found[0]}"


def top_name(name: str) -> str:
    """Return ``package`` of ``package.module``."""
    return name.partition(".")[0]


def forget_folders() -> None:
    """Make Python look into folders again; it remembers what is in them for a moment."""
    importlib.invalidate_caches()


def find_module(name: str, known: dict[str, Module] | None = None) -> Module:
    """Return where a module is; nothing is imported.

    Parameters
    ----------
    name : str
        Dotted name.
    known : dict of str to Module, optional
        Modules that were found before; those that are found now are added.

    Raises
    ------
    ModuleNotThereError
        Where it is not on the Python path.
    """
    found = known if known is not None else {}
    if name in found:
        return found[name]
    parent, _, last = name.rpartition(".")
    if not parent:
        module = _of_spec(_top(last))
    else:
        package = find_module(parent, found)
        spec = None
        if package.locations:
            spec = importlib.machinery.PathFinder.find_spec(name, package.locations)
        if spec is None:
            raise ModuleNotThereError(name, package)
        module = _of_spec(spec)
    found[name] = module
    return module


def _top(name: str) -> importlib.machinery.ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)  # a name without dots: no parent to import
    except (ValueError, ImportError):  # ``__main__``, or a finder of an editable installation
        spec = None
    if spec is None:
        raise ModuleNotThereError(name)
    return spec


def _of_spec(spec: importlib.machinery.ModuleSpec) -> Module:
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return Module(
        name=spec.name,
        file=file if file is not None and file.is_file() else None,
        locations=tuple(spec.submodule_search_locations or ()),
    )
