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
        inside = _inside(package, name)
        if inside is None:
            raise ModuleNotThereError(name, package)
        module = inside
    found[name] = module
    return module


def _inside(package: Module, name: str) -> Module | None:
    """Return a module of a package; the finders of its folders know, without the package."""
    portions: list[str] = []  # folders without __init__.py: together they are a package
    for place in package.locations:
        finder = pkgutil.get_importer(place)
        spec = finder.find_spec(name) if finder is not None else None
        if spec is None:
            continue
        if spec.loader is not None:
            return _of_spec(spec)
        portions += spec.submodule_search_locations or ()
    return Module(name=name, file=None, locations=tuple(portions)) if portions else None


def _top(name: str) -> importlib.machinery.ModuleSpec:
    try:
        # a name without dots: no parent to import; ``__main__`` is another one in every process
        spec = importlib.util.find_spec(name) if name != "__main__" else None
    except (ValueError, ImportError):  # loaded by something else, or a finder of an installation
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
