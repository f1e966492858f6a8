"""Small ON/OFF spectra with an exact answer, and how steps are run without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

INDEX = 2.5
AMPLITUDE = 3e-11  # TeV-1 s-1 cm-2


def problems(tag: str, config: dict[str, Any], base: Path = Path("/nowhere")) -> dict[str, str]:
    """Return code by dotted path of what is wrong with a configuration."""
    found = settle(load_catalog().step(tag), config, base=base).problems
    return {".".join(str(part) for part in item.path): item.code for item in found}


def run(
    tag: str,
    config: dict[str, Any],
    inputs: dict[str, Any],
    work_dir: Path = Path("/nowhere"),
    base: Path = Path("/nowhere"),
) -> Any:
    """Run a step the way the worker does; settings pass through their settled form."""
    step = load_catalog().step(tag)
    settled = settle(step, config, base=base)
    assert not settled.problems, settled.problems
    context = StepContext(step=f"my-{tag}", task_id=f"my-{tag}", work_dir=work_dir)
    return step.run(restore(step, settled.settings), inputs, context)


def make_model(name: str = "crab", **options: Any) -> Any:
    """Return a power law."""
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    spectrum = PowerLawSpectralModel(
        index=options.pop("index", INDEX),
        amplitude=f"{options.pop('amplitude', AMPLITUDE)} TeV-1 s-1 cm-2",
    )
    return SkyModel(spectrum, name=name, **options)


def make_models(*names: str, **options: Any) -> Any:
    """Return models with one power law, or one per name."""
    from gammapy.modeling.models import Models

    return Models([make_model(name, **options) for name in names or ("crab",)])


def make_dataset(name: str = "hess-1", start_h: float = 0.0, hours: float = 0.5) -> Any:
    """Return an Asimov ON/OFF spectrum: counts are exactly what the model predicts."""
    import numpy as np
    from astropy import units as u
    from astropy.table import Table
    from astropy.time import Time
    from gammapy.data import GTI
    from gammapy.datasets import SpectrumDatasetOnOff
    from gammapy.irf import EDispKernelMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap

    energy = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 12)
    true = MapAxis.from_energy_bounds("0.05 TeV", "200 TeV", 30, name="energy_true")
    region = "icrs;circle(83.63, 22.01, 0.11)"
    geom = RegionGeom.create(region, axes=[energy])
    geom_true = RegionGeom.create(region, axes=[true])
    exposure = RegionNDMap.from_geom(geom_true, unit="m2 s", data=3e6 * 3600 * hours)
    exposure.meta = {"livetime": hours * u.h}
    begin = Time("2020-01-01T20:00:00", scale="tt") + start_h * u.h
    dataset = SpectrumDatasetOnOff(
        name=name,
        counts=RegionNDMap.from_geom(geom),
        counts_off=RegionNDMap.from_geom(geom, data=np.geomspace(900, 0.9, 12)),
        acceptance=RegionNDMap.from_geom(geom, data=1.0),
        acceptance_off=RegionNDMap.from_geom(geom, data=9.0),
        exposure=exposure,
        edisp=EDispKernelMap.from_diagonal_response(energy, true, geom=geom_true.to_image()),
        mask_safe=RegionNDMap.from_geom(geom, data=np.ones(geom.data_shape, bool), dtype=bool),
        gti=GTI.create([0] * u.s, [hours * 3600] * u.s, reference_time=begin),
        meta_table=Table({"TELESCOP": ["HESS"], "OBS_ID": [name.rpartition("-")[2]]}),
    )
    dataset.models = make_models("truth")
    dataset.counts.data = dataset.npred_signal().data + dataset.background.data
    dataset.models = None
    return dataset


def make_datasets(*starts_h: float) -> Any:
    """Return datasets hess-1, hess-2, … that start at these hours."""
    from gammapy.datasets import Datasets

    starts = starts_h or (0.0,)
    return Datasets([make_dataset(f"hess-{n + 1}", start) for n, start in enumerate(starts)])
