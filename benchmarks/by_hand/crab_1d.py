"""Spectrum and light curve of the Crab Nebula with gammapy alone, as in a notebook.

    python benchmarks/by_hand/crab_1d.py OUTPUT_FOLDER

The same analysis as workflows/crab-1d.gpwf.yaml: the same data, binning, makers, fit and products.
"""

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore
from gammapy.datasets import Datasets, FluxPointsDataset, SpectrumDataset
from gammapy.estimators import FluxPointsEstimator, LightCurveEstimator
from gammapy.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
from gammapy.maps import MapAxis, RegionGeom, WcsNDMap
from gammapy.modeling import Fit
from gammapy.modeling.models import Models
from regions import CircleSkyRegion

DATA = Path(os.environ["GAMMAPY_DATA"])
MODELS = Path(__file__).parents[2] / "workflows" / "models" / "crab-pl.yaml"

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)

# observations
store = DataStore.from_dir(DATA / "hess-dl3-dr1")
observations = store.get_observations([23523, 23526, 23559, 23592], required_irf=["aeff", "edisp"])

# reduction
energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 24)
energy_true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", 60, name="energy_true")
center = SkyCoord("83.633 deg", "22.014 deg", frame="icrs")
geom = RegionGeom.create(CircleSkyRegion(center, 0.11 * u.deg), axes=[energy])
exclusion = WcsNDMap.read(DATA / "joint-crab" / "exclusion" / "exclusion_mask_crab.fits.gz")
exclusion.data = exclusion.data.astype(bool)
dataset_maker = SpectrumDatasetMaker(
    selection=["counts", "exposure", "edisp"], containment_correction=True
)
background_maker = ReflectedRegionsBackgroundMaker(exclusion_mask=exclusion)
safe_mask_maker = SafeMaskMaker(methods=["aeff-max"], aeff_percent=10)
empty = SpectrumDataset.create(geom, energy_axis_true=energy_true)
datasets = Datasets()
for observation in observations:
    dataset = dataset_maker.run(empty.copy(name=f"hess-{observation.obs_id}"), observation)
    dataset = background_maker.run(dataset, observation)
    datasets.append(safe_mask_maker.run(dataset, observation))
datasets.write(out / "datasets.yaml", overwrite=True)

# fit
for dataset in datasets:
    dataset.mask_fit = dataset.counts.geom.energy_mask(1 * u.TeV, 30 * u.TeV)
datasets.models = models = Models.read(MODELS)
Fit().run(datasets)
models.write(out / "models.yaml", overwrite=True)

# flux points and light curve, in the whole safe range
for dataset in datasets:
    dataset.mask_fit = None
edges = MapAxis.from_energy_bounds("1 TeV", "30 TeV", 8).edges
flux_points = FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional=["ul"]).run(
    datasets
)
flux_points.write(out / "flux_points.fits", sed_type="likelihood", overwrite=True)
light_curve = LightCurveEstimator(
    energy_edges=[1, 30] * u.TeV, source="crab", selection_optional=["ul"]
).run(datasets)
light_curve.write(
    out / "light_curve.fits", format="lightcurve", sed_type="likelihood", overwrite=True
)

# figures, in the three formats that the workflow writes
figure, axes = plt.subplots()
FluxPointsDataset(data=flux_points, models=models).plot_spectrum(ax=axes)
for ending in ("png", "pdf", "svg"):
    figure.savefig(out / f"spectrum.{ending}", dpi=150)
for dataset in datasets:
    dataset.mask_fit = dataset.counts.geom.energy_mask(1 * u.TeV, 30 * u.TeV)
stacked = datasets.stack_reduce(name="stacked")
stacked.models = models
figure = plt.figure()
stacked.plot_fit()
for ending in ("png", "pdf", "svg"):
    figure.savefig(out / f"residuals.{ending}", dpi=150)
figure, axes = plt.subplots()
light_curve.plot(ax=axes, sed_type="flux", axis_name="time")
for ending in ("png", "pdf", "svg"):
    figure.savefig(out / f"light_curve.{ending}", dpi=150)
