"""Spectra of five targets of the H.E.S.S. DL3 data release 1 with gammapy alone, as in a notebook.

    python benchmarks/by_hand/five_targets.py OUTPUT_FOLDER

The same analysis as benchmarks/workflows/five-targets.gpwf.yaml.
"""

import os
import sys
from pathlib import Path

import yaml
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore
from gammapy.datasets import Datasets, SpectrumDataset
from gammapy.estimators import FluxPointsEstimator
from gammapy.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammapy.maps import MapAxis, RegionGeom
from gammapy.modeling import Fit
from gammapy.modeling.models import Models
from regions import CircleSkyRegion

DATA = Path(os.environ["GAMMAPY_DATA"])
WORKFLOWS = Path(__file__).parents[1] / "workflows"

energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 24)
energy_true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", 60, name="energy_true")
edges = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", 8).edges
store = DataStore.from_dir(DATA / "hess-dl3-dr1")
targets = yaml.safe_load((WORKFLOWS / "targets.yaml").read_text())

for name, target in targets.items():
    out = Path(sys.argv[1]) / name
    out.mkdir(parents=True, exist_ok=True)
    observations = store.get_observations(target["obs_ids"], required_irf=["aeff", "edisp"])

    # reduction
    center = SkyCoord(target["center"]["lon"], target["center"]["lat"], frame="icrs")
    region = CircleSkyRegion(center, u.Quantity(target["radius"]))
    geom = RegionGeom.create(region, axes=[energy])
    dataset_maker = SpectrumDatasetMaker(
        selection=["counts", "exposure", "edisp"], containment_correction=True
    )
    background_maker = ReflectedRegionsBackgroundMaker()
    safe_mask_maker = SafeMaskMaker(methods=["aeff-max"], aeff_percent=10)
    empty = SpectrumDataset.create(geom, energy_axis_true=energy_true)
    reduced = Datasets()
    for observation in observations:
        dataset = dataset_maker.run(empty.copy(name=f"hess-{observation.obs_id}"), observation)
        dataset = background_maker.run(dataset, observation)
        if dataset.counts_off is not None:
            reduced.append(safe_mask_maker.run(dataset, observation))
    datasets = Datasets([reduced.stack_reduce(name="hess-stacked")])
    datasets.write(out / "datasets.yaml", overwrite=True)

    # fit
    for dataset in datasets:
        dataset.mask_fit = dataset.counts.geom.energy_mask(0.3 * u.TeV, 30 * u.TeV)
    datasets.models = models = Models.read(WORKFLOWS / "start.yaml")
    Fit().run(datasets)
    models.write(out / "models.yaml", overwrite=True)

    # flux points, in the whole safe range
    for dataset in datasets:
        dataset.mask_fit = None
    flux_points = FluxPointsEstimator(
        energy_edges=edges, source="source", selection_optional=["ul"]
    ).run(datasets)
    flux_points.write(out / "flux_points.fits", sed_type="likelihood", overwrite=True)
