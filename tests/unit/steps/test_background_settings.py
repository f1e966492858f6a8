"""Settings of the backgrounds: what is wrong is said before anything runs, without gammapy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spectra import problems

from gpwf.steps.reduction.phases import overlap, phase_pieces
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import settle

RAD_MAX = {"lon": "83.6 deg", "lat": "22 deg", "radius": "rad_max"}
REGION = {**RAD_MAX, "radius": "0.1 deg"}
ENERGY = {"min": "1 TeV", "max": "10 TeV", "nbins": 1}
GEOM = {"axes": {"energy": ENERGY}}
ADAPTIVE = {"r_in": "0.3 deg", "width": "0.2 deg", "r_out_max": "1 deg"}
PHASES = {"on_phase": [[0.9, 1.1]], "off_phase": [[0.3, 0.5]]}


def background(kind: str, **parameters: Any) -> dict[str, Any]:
    return {"method": kind, "parameters": parameters}


def spectra(**changes: Any) -> dict[str, Any]:
    return {"geom": GEOM, "on_region": REGION, **changes}


def maps(**changes: Any) -> dict[str, Any]:
    return {"type": "3d", "geom": GEOM, **changes}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (spectra(background=background("wobble", n_off_regions=3)), {}),
        (
            spectra(background=background("wobble")),
            {"background.parameters.n_off_regions": "GP305"},
        ),
        (
            spectra(background=background("wobble", n_off_regions=0)),
            {"background.parameters.n_off_regions": "GP304"},
        ),
        (
            spectra(background=background("reflected", n_off_regions=3)),
            {"background.parameters.n_off_regions": "GP306"},
        ),
        (maps(background=background("wobble", n_off_regions=3)), {"background.method": "GP306"}),
        (
            spectra(background=background("adaptive_ring", **ADAPTIVE)),
            {"background.method": "GP306"},
        ),
        (spectra(background=background("phase", **PHASES)), {}),
        (maps(background=background("phase", **PHASES)), {}),
        (
            spectra(background=background("phase", **PHASES) | {"exclusion": "a.reg"}),
            {"background.exclusion": "GP306"},
        ),
        (
            spectra(background=background("phase", on_phase=[[0.1, 0.2]])),
            {"background.parameters.off_phase": "GP305"},
        ),
        (spectra(use_region_center=False), {}),
        (maps(use_region_center=False), {"use_region_center": "GP306"}),
        (
            spectra(
                geom={
                    "axes": {
                        "energy": ENERGY,
                        "energy_true": {"min": "20 TeV", "max": "90 TeV", "nbins": 3},
                    }
                }
            ),
            {"geom.axes.energy_true": "GP306"},
        ),
    ],
)
def test_methods_have_settings_of_their_own(config: dict[str, Any], found: dict[str, str]) -> None:
    assert problems("datasets", config) == found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"r_out_max": "0.5 deg"}, {"r_out_max": "GP306"}),  # no ring at all
        ({"stepsize": "0.001 deg"}, {}),
        ({"stepsize": "0.0001 deg"}, {"stepsize": "GP306"}),
        ({"width": "0.01 deg"}, {"width": "GP306"}),
        ({"theta": "40 deg"}, {"theta": "GP306"}),
        ({"threshold_alpha": 0.0}, {"threshold_alpha": "GP304"}),
        ({"method": "fixed_r_in"}, {}),
        ({"method": "scale"}, {"method": "GP304"}),  # that of another background method
        ({"method": "fixd_r_in"}, {"method": "GP304"}),
    ],
)
def test_an_adaptive_ring_must_be_able_to_grow(
    changes: dict[str, Any], found: dict[str, str]
) -> None:
    config = maps(background=background("adaptive_ring", **(ADAPTIVE | changes)))
    wanted = {f"background.parameters.{name}": code for name, code in found.items()}
    assert problems("datasets", config) == wanted


def test_rings_of_a_large_map_are_not_too_many() -> None:
    wcs = {"binsize": "0.01 deg", "width": {"width": "21 deg", "height": "20 deg"}}
    rings = background("adaptive_ring", **ADAPTIVE)  # 25 of them
    config = maps(geom={**GEOM, "wcs": wcs}, background=rings)
    assert problems("datasets", config) == {"background.parameters.stepsize": "GP306"}
    config = maps(geom={**GEOM, "wcs": wcs | {"binsize": "0.02 deg"}}, background=rings)
    assert problems("datasets", config) == {}


def test_a_ring_may_have_several_energy_bins_an_adaptive_one_not() -> None:
    """gammapy takes the OFF counts of the first bin for all, without a word."""
    geom = {"axes": {"energy": {**ENERGY, "nbins": 3}}}
    ring = background("ring", r_in="0.3 deg", width="0.2 deg")
    assert problems("datasets", maps(geom=geom, background=ring)) == {}
    adaptive = background("adaptive_ring", **ADAPTIVE)
    found = problems("datasets", maps(geom=geom, background=adaptive))
    assert found == {"geom.axes.energy.nbins": "GP306"}


def test_the_radius_of_the_response_is_for_wobble_regions_and_phases() -> None:
    given = {"n_off_regions": 3}
    config = {"geom": GEOM, "on_region": RAD_MAX, "background": {"parameters": given}}
    settled = load_catalog().settle("datasets", config, base=Path("/nowhere"))
    assert not settled.problems
    assert settled.settings["background"]["method"] == "wobble"
    assert settled.settings["on_region"]["radius"] == "rad_max"
    again = load_catalog().settle("datasets", settled.settings, base=Path("/nowhere"))
    assert again.settings == settled.settings
    assert problems("datasets", config | {"background": background("phase", **PHASES)}) == {}
    bad = {"background": {"method": "reflected"}}
    assert problems("datasets", config | bad) == {"background.method": "GP306"}
    bad = {"containment_correction": True, "use_region_center": False}
    assert problems("datasets", config | bad) == dict.fromkeys(bad, "GP306")


@pytest.mark.parametrize(
    ("radius", "code", "words"),
    [
        ("rad_mx", "GP304", "did you mean 'rad_max'?"),
        ("0 deg", "GP304", "greater than 0 deg"),
        ("1 TeV", "GP303", "not a unit of angle"),
        (0.1, "GP303", "has no unit"),
        (None, "GP302", "expected an angle or one of rad_max"),
    ],
)
def test_a_radius_is_an_angle_or_the_word(radius: Any, code: str, words: str) -> None:
    config = spectra(on_region={**REGION, "radius": radius})
    found = settle(load_catalog().step("datasets"), config, base=Path("/nowhere")).problems
    assert [item.code for item in found] == [code]
    assert words in f"{found[0].message} {found[0].hint}"


@pytest.mark.parametrize(
    ("intervals", "pieces"),
    [
        ([(0.2, 0.4)], [(0.2, 0.4)]),
        ([(0.9, 1.1)], [(0.0, 0.1), (0.9, 1.0)]),
        ([(-0.1, 0.1)], [(0.0, 0.1), (0.9, 1.0)]),
        ([(0.9, 0.1)], [(0.0, 0.1), (0.9, 1.0)]),
        ([(0.5, 1.0)], [(0.5, 1.0)]),
        ([(0.0, 1.0)], [(0.0, 1.0)]),
        ([(-0.3, -0.1)], [(0.7, 0.9)]),
        ([(1.2, 1.4)], [(0.2, 0.4)]),
        ([(0.9, 1.1), (0.8, 0.9)], [(0.0, 0.1), (0.8, 0.9), (0.9, 1.0)]),
    ],
)
def test_phases_are_continued_at_the_other_end(intervals: Any, pieces: Any) -> None:
    assert phase_pieces(intervals) == pieces
    assert not overlap(pieces)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"on_phase": [[0.3, 0.3]]}, {"on_phase": "GP304"}),
        ({"on_phase": [[-0.2, 1.1]]}, {"on_phase": "GP304"}),
        ({"on_phase": [[-3.0, -2.9]]}, {"on_phase": "GP304"}),
        ({"on_phase": [[0.1, 0.3], [0.2, 0.25]]}, {"on_phase": "GP306"}),
        ({"off_phase": [[0.9, 1.2], [0.1, 0.3]]}, {"off_phase": "GP306"}),
        ({"off_phase": [[0.05, 0.5]]}, {"off_phase": "GP306"}),  # overlaps with 0.9 to 1.1
        ({"off_phase": [[0.1, 0.9]]}, {}),
        ({"off_phase": []}, {"off_phase": "GP304"}),
        ({"off_phase": [[0.1, 0.2, 0.3]]}, {"off_phase.0": "GP304"}),
    ],
)
def test_intervals_of_the_phase_are_checked(changes: dict[str, Any], found: dict[str, str]) -> None:
    config = spectra(background=background("phase", **(PHASES | changes)))
    given = problems("datasets", config)
    wanted = {f"background.parameters.{name}": code for name, code in found.items()}
    assert wanted.items() <= given.items()
    assert bool(given) == bool(found)


def test_the_mask_of_another_step_is_an_input_unless_there_is_a_file() -> None:
    def ports(**given: Any) -> list[str]:
        catalog = load_catalog()
        settings = catalog.settle("datasets", spectra(background=given), base=Path("/")).settings
        return [f"{port.name}:{port.kind}" for port in catalog.inputs("datasets", settings)]

    assert ports() == ["observations:observations", "exclusion_mask:map"]
    assert ports(exclusion="/mask.fits") == ["observations:observations"]
    assert ports(**background("phase", **PHASES)) == ["observations:observations"]


def test_no_step_but_exclusion_mask_makes_a_map() -> None:
    """A lone map above is taken for the mask without a word; others are of the kind ``maps``."""
    assert list(load_catalog().makers("map")) == ["exclusion-mask"]
