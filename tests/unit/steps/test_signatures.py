"""Signatures of gammapy that are read from its source, and the arguments checked against them."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spectra import problems

from gpwf.steps.arguments import argument_problems
from gpwf.steps.callables import definitions
from gpwf.steps.makers import (
    BACKGROUND_MAKERS,
    SAFE_MASK_USERS,
    background_problems,
    safe_mask_problems,
)
from gpwf.steps.signatures import signature

ESTIMATORS = ("FluxPointsEstimator", "LightCurveEstimator", "TSMapEstimator", "ExcessMapEstimator")
TARGETS = (
    "gammapy.makers.SafeMaskMaker",
    *BACKGROUND_MAKERS.values(),
    *(f"gammapy.estimators.{name}" for name in ESTIMATORS),
    "gammapy.modeling.Parameter",
    "gammapy.modeling.Fit",
)


def codes(found: Any) -> dict[str, str]:
    return {".".join(str(part) for part in item.path): item.code for item in found}


# ---- what is read is what Python sees ------------------------------------------------------------


@pytest.mark.gammapy
@pytest.mark.parametrize("target", TARGETS)
def test_it_is_what_python_sees(target: str) -> None:
    """Every parameter of the class itself has its name and default; others come from kwargs."""
    import importlib

    module, _, name = target.rpartition(".")
    seen = dict(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    keywords = [key for key, item in seen.items() if item.kind is inspect.Parameter.VAR_KEYWORD]
    for key in keywords:
        del seen[key]
    read = signature(target)
    own = {key: read.parameters[key] for key in seen}  # KeyError: one was not found
    assert bool(keywords) or set(own) == set(read.parameters)
    for key, item in seen.items():
        assert own[key].required == (item.default is inspect.Parameter.empty), key
        if isinstance(item.default, (bool, int, float, str, list)) and item.default == item.default:
            assert own[key].default == item.default, key
    assert not read.takes_any


@pytest.mark.gammapy
def test_what_kwargs_hands_on_is_taken_by_gammapy() -> None:
    from gammapy.estimators import LightCurveEstimator
    from gammapy.makers import ReflectedRegionsBackgroundMaker

    given = {
        name: item.default
        for name, item in signature("gammapy.estimators.LightCurveEstimator").parameters.items()
        if item.default is not None
    }
    assert {"atol", "n_sigma_ul", "sum_over_energy_groups", "reoptimize", "source"} <= set(given)
    LightCurveEstimator(**given)
    ReflectedRegionsBackgroundMaker(
        **{
            name: item.default
            for name, item in signature(BACKGROUND_MAKERS["reflected"]).parameters.items()
        }
    )


def test_nothing_of_gammapy_is_imported() -> None:
    code = (
        "import sys\n"
        "from gpwf.steps.signatures import signature\n"
        "found = signature('gammapy.makers.SafeMaskMaker')\n"
        "assert 'aeff_percent' in found.parameters\n"
        "print([m for m in ('gammapy', 'astropy', 'numpy') if m in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_only_the_files_on_the_way_are_parsed_once() -> None:
    signature.cache_clear()
    definitions.read_names.cache_clear()
    signature("gammapy.makers.SafeMaskMaker")
    assert definitions.read_names.cache_info().misses == 2  # the package, and safe.py
    signature("gammapy.makers.SafeMaskMaker")
    assert signature.cache_info().hits == 1
    assert definitions.read_names.cache_info().misses == 2


# ---- on packages of our own ----------------------------------------------------------------------

PACKAGE = {
    "__init__.py": "from .a import Alias, Derived, Open, plain\nfrom .missing import Gone\n",
    "a.py": '''
from other_package import Unknown
from .b import Base as _Base, helper


class Derived(_Base):
    """Derived.

    Parameters
    ----------
    x : float, optional
        Documented on the class.
    how : {"fast", "safe"} or None
        A choice.

    Notes
    -----
    y : int
        Not a parameter.
    """

    def __init__(self, x=1, how=None, **kwargs):
        super().__init__(fixed=True, **kwargs)


class Alias(Derived):
    pass


class Open(Unknown):
    def __init__(self, a, **kwargs):
        super().__init__(**kwargs)


def plain(a, b=[1], *, c=None, **options):
    return helper(**options)
''',
    "b.py": """
from .a import Derived


class Base:
    def __init__(self, fixed, width: str = "1 deg", n=3):
        pass


def helper(depth):
    pass
""",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "sigtest"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    signature.cache_clear()
    definitions.read_names.cache_clear()
    yield "sigtest"
    signature.cache_clear()
    definitions.read_names.cache_clear()
    assert "sigtest" not in sys.modules


@pytest.mark.parametrize("name", ["Derived", "Alias"])
def test_bases_and_reexports_are_followed(package: str, name: str) -> None:
    found = signature(f"{package}.{name}")
    assert list(found.parameters) == ["x", "how", "width", "n"]
    assert not found.takes_any
    assert found.parameters["x"].types == (int, float)
    assert found.parameters["how"].choices == ("fast", "safe")
    assert found.parameters["how"].nullable
    assert found.parameters["width"].types == (str,)


def test_a_base_without_source_may_take_anything(package: str) -> None:
    found = signature(f"{package}.Open")
    assert list(found.parameters) == ["a"]
    assert found.takes_any
    assert argument_problems(f"{package}.Open", {"a": 1, "whatever": 2}, ()) == []


def test_functions_have_signatures_too(package: str) -> None:
    found = signature(f"{package}.plain")
    assert {name: item.required for name, item in found.parameters.items()} == {
        "a": True,
        "b": False,
        "c": False,
        "depth": True,
    }


@pytest.mark.parametrize("name", ["Gone", "Nothing", "a.Nothing", "none.at.all"])
def test_what_is_not_there_is_told(package: str, name: str) -> None:
    with pytest.raises(LookupError, match=name):
        signature(f"{package}.{name}")
    assert argument_problems(f"{package}.{name}", {"a": 1}, ()) == []


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"angle_increment": "0.2 rad", "max_region_number": 3}, {}),
        ({"angle_incremnt": "0.2 rad"}, {"background.parameters.angle_incremnt": "GP301"}),
        ({"max_region_number": "three"}, {"background.parameters.max_region_number": "GP302"}),
        ({"max_region_number": True}, {"background.parameters.max_region_number": "GP302"}),
        ({"binsz": 0.01}, {"background.parameters.binsz": "GP302"}),
        ({"exclusion_mask": "a.fits"}, {"background.parameters.exclusion_mask": "GP306"}),
    ],
)
def test_arguments_of_reflected_regions(parameters: dict[str, Any], found: dict[str, str]) -> None:
    assert codes(background_problems("reflected", parameters)) == found


@pytest.mark.parametrize(
    ("method", "parameters", "found"),
    [
        ("ring", {"r_in": "0.5 deg", "width": "0.3 deg"}, {}),
        ("ring", {"r_in": "0.5 deg"}, {"background.parameters.width": "GP305"}),
        ("fov_background", {"method": "fit", "min_counts": 10}, {}),
        ("fov_background", {"method": "fitt"}, {"background.parameters.method": "GP304"}),
        ("fov_background", {"r_in": "1 deg"}, {"background.parameters.r_in": "GP301"}),
        ("something-else", {"r_in": "1 deg"}, {}),
    ],
)
def test_arguments_follow_from_the_method(
    method: str, parameters: dict[str, Any], found: dict[str, str]
) -> None:
    assert codes(background_problems(method, parameters)) == found


def test_messages_name_the_class_and_what_is_near() -> None:
    (found,) = background_problems("ring", {"r_in": "1 deg", "width": "1 deg", "widht": "1 deg"})
    assert "'widht' of RingBackgroundMaker (gammapy 2." in found.message
    assert found.hint == "did you mean 'width'?"


def test_parameters_of_other_methods_are_refused() -> None:
    given = {"aeff_percent": 5, "offset_max": "2 deg", "bias_percent": 5}
    found = safe_mask_problems(["aeff-max", "edisp-bias"], given)
    assert codes(found) == {"safe_mask.parameters.offset_max": "GP306"}
    assert "only for 'offset-max'" in found[0].message


@pytest.mark.gammapy
def test_safe_mask_methods_use_what_we_say() -> None:
    """The attributes that the code of every method reads, its helpers included."""
    import textwrap

    from gammapy.makers import SafeMaskMaker

    def reads(function: Any) -> set[str]:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        names = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
        helpers = [getattr(SafeMaskMaker, name) for name in names if name.startswith("_get")]
        return names.union(*map(reads, helpers))

    makers = {
        "aeff-max": SafeMaskMaker.make_mask_energy_aeff_max,
        "edisp-bias": SafeMaskMaker.make_mask_energy_edisp_bias,
        "bkg-peak": SafeMaskMaker.make_mask_energy_bkg_peak,
        "offset-max": SafeMaskMaker.make_mask_offset_max,
        "aeff-default": SafeMaskMaker.make_mask_energy_aeff_default,
    }
    assert set(makers) == SafeMaskMaker.available_methods
    users: dict[str, set[str]] = {}
    for method, function in makers.items():
        for name in reads(function) & set(signature("gammapy.makers.SafeMaskMaker").parameters):
            users.setdefault(name, set()).add(method)
    assert users == {name: set(methods) for name, methods in SAFE_MASK_USERS.items()}


# ---- the steps -----------------------------------------------------------------------------------

EDGES = {"min": "1 TeV", "max": "10 TeV", "nbins": 1}
STEPS = {
    "flux-points": {"source": "crab", "energy": EDGES},
    "light-curve": {"source": "crab", "energy_edges": EDGES},
}


@pytest.mark.parametrize("tag", STEPS)
@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, {}),
        ({"sum_over_energy_groups": True, "norm": {"scan_min": 0.1, "scan_n_values": 7}}, {}),
        ({"sum_over_energy_group": True}, {"parameters.sum_over_energy_group": "GP301"}),
        ({"sum_over_energy_groups": "yes"}, {"parameters.sum_over_energy_groups": "GP302"}),
        ({"norm": {"scan_mn": 0.1}}, {"parameters.norm.scan_mn": "GP301"}),
        ({"norm": {"interp": "lgo"}}, {"parameters.norm.interp": "GP304"}),
        ({"norm": 3}, {"parameters.norm": "GP302"}),
        ({"n_sigma": 2}, {"parameters.n_sigma": "GP306"}),
        ({"n_jobs": 2}, {"parameters.n_jobs": "GP306"}),
        ({"energy_edges": [1, 2]}, {"parameters.energy_edges": "GP306"}),
    ],
)
def test_parameters_of_estimators(
    tag: str, parameters: dict[str, Any], found: dict[str, str]
) -> None:
    assert problems(tag, {**STEPS[tag], "parameters": parameters}) == found


def test_each_estimator_has_parameters_of_its_own() -> None:
    given = {"parameters": {"stack_over_time_interval": True}}
    assert problems("light-curve", {**STEPS["light-curve"], **given}) == {}
    found = problems("flux-points", {**STEPS["flux-points"], **given})
    assert found == {"parameters.stack_over_time_interval": "GP301"}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"backend": "scipy", "options": {"method": "L-BFGS-B"}}, {}),
        ({"options": {"method": "L-BFGS-B"}}, {"options.method": "GP306"}),
        ({"backend": "scipy", "options": {"method": "L-BFGS"}}, {"options.method": "GP304"}),
        ({"options": {"strategi": 2}}, {"options.strategi": "GP301"}),
    ],
)
def test_options_of_the_minimiser(config: dict[str, Any], found: dict[str, str]) -> None:
    assert problems("fit", config) == found


@pytest.mark.parametrize("tag", ["datasets", "data-reduction"])
@pytest.mark.parametrize(
    ("safe_mask", "found"),
    [
        ({"methods": ["aeff-max"], "parameters": {"aeff_percent": 5}}, {}),
        ({"parameters": {"aeff_percent": 5}}, {"safe_mask.parameters.aeff_percent": "GP306"}),
        ({"parameters": {"aeff_percent": 10}}, {}),  # the default, as settled settings repeat it
        ({"methods": [], "parameters": {"irfs": "DL3"}}, {"safe_mask.parameters.irfs": "GP306"}),
        ({"methods": ["bkg-peak"], "parameters": {"irfs": "DL3"}}, {}),
    ],
)
def test_parameters_of_the_safe_mask(
    tag: str, safe_mask: dict[str, Any], found: dict[str, str]
) -> None:
    region = {"lon": "83.6 deg", "lat": "22 deg", "radius": "0.1 deg"}
    axis = {"min": "0.1 TeV", "max": "40 TeV", "nbins": 24}
    config = {"geom": {"axes": {"energy": axis}}, "on_region": region, "safe_mask": safe_mask}
    assert problems(tag, config) == found
