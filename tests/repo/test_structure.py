"""The house keeps its shape: small files, documented names, heavy libraries behind closed doors."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import gpwf

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "gpwf").rglob("*.py"))
MODULES = ["gpwf", *(m.name for m in pkgutil.walk_packages(gpwf.__path__, "gpwf."))]

# Importing these costs from 0.1 to 2 s, so they are imported where they are used, in functions.
HEAVY = {"astropy", "gammapy", "iminuit", "matplotlib", "numpy", "regions", "scipy"}
# And these cost enough to matter to `gpwf validate` and to a run that finds everything done.
UNUSED_WHEN_LISTING = HEAVY | {"jsonschema", "networkx", "prov", "psutil", "rich"}

MAX_LINES = 400


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _outside_functions(tree: ast.AST) -> Iterator[ast.stmt]:
    """Walk the nodes that run when a module is imported, type checking blocks left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.stmt):
            yield node
        yield from _outside_functions(node)


def _imported(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.partition(".")[0]}
    return set()


def test_files_are_small() -> None:
    """A file that outgrows 400 lines has more than one subject."""
    lines = {_name(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: count for name, count in lines.items() if count > MAX_LINES}


def test_science_libraries_are_imported_in_functions() -> None:
    """Nothing that only lists, checks or plans pays for gammapy."""
    found = [
        f"{_name(path)}:{node.lineno} {name}"
        for path in SOURCES
        for node in _outside_functions(ast.parse(path.read_text()))
        for name in _imported(node) & HEAVY
    ]
    assert not found


def test_everything_is_caught_in_two_places_only() -> None:
    """`except Exception` hides faults; only workers and the command line may use it.

    A handler that cleans up and raises again hides nothing.
    """
    caught = [
        f"{_name(path)}:{node.lineno}"
        for path in SOURCES
        if _name(path) not in ("gpwf/run/worker.py", "gpwf/run/spread_child.py")
        and not _name(path).startswith("gpwf/cli/")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or {"Exception", "BaseException"} & _names(node.type))
        and ast.unparse(node.body[-1]) != "raise"
    ]
    assert not caught


def _names(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def test_init_only_exports() -> None:
    """What lives in a room has a file there: an `__init__.py` defines no class."""
    classes = [
        f"{_name(path)}:{node.lineno}"
        for path in SOURCES
        if path.name == "__init__.py"
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    ]
    assert not classes


def _public(module: ModuleType) -> Iterator[tuple[str, object]]:
    yield module.__name__, module
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield f"{module.__name__}.{name}", value
        elif inspect.isclass(value):
            yield f"{module.__name__}.{name}", value
            for key in vars(value):
                member = getattr(value, key, None)
                if not key.startswith("_") and (
                    inspect.isroutine(member) or isinstance(vars(value)[key], property)
                ):
                    yield f"{module.__name__}.{name}.{key}", getattr(value, key)


def test_public_names_are_documented() -> None:
    """A name that others may use says what it is for."""
    bare = [
        path
        for module in MODULES
        for path, value in _public(importlib.import_module(module))
        if not inspect.getdoc(value)
    ]
    assert not bare


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["gpwf", "gpwf.api", "gpwf.cli", "gpwf.core.plan"])
def test_import_is_cheap(module: str) -> None:
    """Importing the entry points loads none of the heavy libraries."""
    assert not _loaded_by(f"import {module}") & UNUSED_WHEN_LISTING


def test_catalogue_is_cheap() -> None:
    """Listing the step types does not import gammapy or anything below it."""
    loaded = _loaded_by("from gpwf.steps.registry import load_catalog\nload_catalog().tags()")
    assert not loaded & HEAVY


def test_the_package_offers_its_names_to_people_and_type_checkers() -> None:
    """``gpwf.`` and the tabulator in a notebook; what is loaded late is there for mypy, too."""
    import gpwf

    assert set(gpwf.__all__) <= set(dir(gpwf))
    for name in gpwf.__all__:
        assert getattr(gpwf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'opne_run'"):
        _ = getattr(gpwf, "opne_run")  # noqa: B009  (a name that mypy would refuse)


def test_test_files_have_names_of_their_own() -> None:
    """Two of one name cannot be collected in one run."""
    names = [
        path.name
        for path in (ROOT / "tests").rglob("test_*.py")
        if "node_modules" not in path.parts
    ]
    assert sorted(names) == sorted(set(names))
