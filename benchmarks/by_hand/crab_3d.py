"""Position and spectrum of the Crab Nebula from maps with gammapy alone, as in a notebook.

    python benchmarks/by_hand/crab_3d.py OUTPUT_FOLDER

The same analysis as benchmarks/workflows/crab-3d.gpwf.yaml.
"""

import os
import sys
from pathlib import Path

from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore
from gammapy.datasets import Datasets, MapDataset
from gammapy.estimators import FluxPointsEstimator
from gammapy.makers import FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap
from gammapy.modeling import Fit
from gammapy.modeling.models import FoVBackgroundModel, Models

DATA = Path(os.environ["GAMMAPY_DATA"])
MODELS = Path(__file__).parents[2] / "workflows" / "models" / "crab-point.yaml"

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)

# observations
store = DataStore.from_dir(DATA / "hess-dl3-dr1")
observations = store.get_observations([23523, 23526, 23559, 23592])

# reduction
energy = MapAxis.from_energy_bounds("0.7 TeV", "30 TeV", 16)
energy_true = MapAxis.from_energy_bounds("0.4 TeV", "60 TeV", 24, name="energy_true")
center = SkyCoord("83.633 deg", "22.014 deg", frame="icrs")
geom = WcsGeom.create(skydir=center, frame="icrs", binsz=0.02, width=(5, 5), axes=[energy])
exclusion = WcsNDMap.read(DATA / "joint-crab" / "exclusion" / "exclusion_mask_crab.fits.gz")
exclusion.data = exclusion.data.astype(bool)
mask = exclusion.interp_to_geom(geom.to_image(), fill_value=1)
dataset_maker = MapDatasetMaker(selection=["counts", "exposure", "background", "psf", "edisp"])
safe_mask_maker = SafeMaskMaker(
    methods=["aeff-max", "offset-max"], aeff_percent=10, offset_max=2.5 * u.deg
)
background_maker = FoVBackgroundMaker(method="scale", exclusion_mask=mask)
stacked = MapDataset.create(geom, energy_axis_true=energy_true, name="hess-stacked")
reference = MapDataset.create(geom, energy_axis_true=energy_true, name="reference")
for observation in observations:
    cutout = reference.cutout(
        observation.get_pointing_icrs(observation.tmid).galactic,
        width=5 * u.deg,
        name=f"hess-{observation.obs_id}",
    )
    dataset = dataset_maker.run(cutout, observation)
    dataset = safe_mask_maker.run(dataset, observation)
    dataset = background_maker.run(dataset, observation)
    stacked.stack(dataset)
datasets = Datasets([stacked])
datasets.write(out / "datasets.yaml", overwrite=True)

# fit
datasets.models = models = Models(
    [*Models.read(MODELS), FoVBackgroundModel(dataset_name=stacked.name)]
)
Fit().run(datasets)
models.write(out / "models.yaml", overwrite=True)

# flux points
edges = MapAxis.from_energy_bounds("0.7 TeV", "30 TeV", 8).edges
flux_points = FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional=["ul"]).run(
    datasets
)
flux_points.write(out / "flux_points.fits", sed_type="likelihood", overwrite=True)
