"""Observations and settings that the tests of the backgrounds share."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

CENTER = {"frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg"}
EXCLUSION = "$GAMMAPY_DATA/joint-crab/exclusion/exclusion_mask_crab.fits.gz"
PARTS = ("counts", "counts_off", "acceptance", "acceptance_off")


def hess(*obs_ids: int, phase: bool = False) -> list[Any]:
    """Return observations of H.E.S.S.; with a phase, events in the ON region have 0 to 0.2."""
    from gammapy.data import DataStore

    folder = Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"
    store = DataStore.from_dir(folder)
    found = list(store.get_observations(list(obs_ids), required_irf="full-enclosure"))
    for observation in found:
        if phase:
            add_phases(observation)
    return found


def add_phases(observation: Any, low: float = 0.0, high: float = 1.0) -> None:
    """Give events phases; every other one near the Crab comes at a phase of 0.95 to 1.05."""
    import numpy as np
    from astropy.coordinates import SkyCoord
    from gammapy.data import EventList

    table = observation.events.table.copy()
    random = np.random.default_rng(observation.obs_id)
    phases = random.uniform(low, high, len(table))
    crab = SkyCoord(CENTER["lon"], CENTER["lat"])
    pulsed = (observation.events.radec.separation(crab).deg < 0.1) & (
        random.random(len(table)) < 0.5
    )
    phases[pulsed] = random.uniform(0.95, 1.05, pulsed.sum()) % 1
    table["PHASE"] = phases
    observation._events = EventList(table)


def magic() -> list[Any]:
    """Return the observations of MAGIC whose ON radius changes with energy."""
    from gammapy.data import DataStore

    folder = Path(os.environ["GAMMAPY_DATA"]) / "magic" / "rad_max" / "data"
    return list(DataStore.from_dir(folder).get_observations(required_irf="point-like"))


def with_fixed_radius(observation: Any, radius: Any) -> Any:
    """Return an observation whose response says one ON radius in its header, or none."""
    found = copy.copy(observation)
    aeff = copy.deepcopy(observation.aeff)
    if radius is not None:
        aeff.meta["RAD_MAX"] = radius
    found._rad_max, found._rad_max_hdu = None, None
    found.aeff = aeff
    return found


def run(tag: str, config: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Return the products of a step, run without an engine."""
    step = load_catalog().step(tag)
    base = Path(__file__).parents[2] / "workflows"
    settled = settle(step, config, base=base)
    assert not settled.problems, settled.problems
    context = StepContext(step=tag, task_id=tag, work_dir=base)
    return step.run(restore(step, settled.settings), inputs, context)


def reduce(config: dict[str, Any], observations: list[Any], **inputs: Any) -> Any:
    """Return the datasets of the step ``datasets``."""
    return run("datasets", config, {**inputs, "observations": observations})["datasets"]


def spectra(
    method: str = "reflected", radius: str = "0.11 deg", **parameters: Any
) -> dict[str, Any]:
    """Return settings of a reduction to spectra, one per observation."""
    return {
        "type": "1d",
        "stack": False,
        "geom": {
            "axes": {
                "energy": {"min": "0.5 TeV", "max": "40 TeV", "nbins": 12},
                "energy_true": {"min": "0.3 TeV", "max": "60 TeV", "nbins": 20},
            }
        },
        "on_region": {"center": CENTER, "radius": radius},
        "background": {"method": method, "parameters": parameters},
        "safe_mask": {"methods": ["aeff-max"]},
    }


def maps(kind: str, n_energies: int = 1, **parameters: Any) -> dict[str, Any]:
    """Return settings of a reduction to maps of 3 deg in pixels of 0.1 deg."""
    exclusion = {} if kind == "phase" else {"exclusion": EXCLUSION}
    return {
        "type": "3d",
        "stack": False,
        "geom": {
            "wcs": {
                "skydir": CENTER,
                "binsize": "0.1 deg",
                "width": {"width": "3 deg", "height": "3 deg"},
            },
            "axes": {
                "energy": {"min": "1 TeV", "max": "10 TeV", "nbins": n_energies},
                "energy_true": {"min": "0.5 TeV", "max": "20 TeV", "nbins": 4},
            },
        },
        "background": {"method": kind, "parameters": parameters, **exclusion},
        "safe_mask": {"methods": ["offset-max"], "parameters": {"offset_max": "2 deg"}},
    }
