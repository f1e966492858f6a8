"""What a process that runs steps needs before its first step."""

from __future__ import annotations

import gc
import logging

from gpwf.core.map_headers import guard_geometry
from gpwf.steps.hasten import hasten_gammapy

__all__ = ["prepare_process"]


def prepare_process() -> None:
    """Import gammapy and keep astropy from the network; takes seconds, once per machine and run.

    Earth orientation data come with astropy: what has no table yet is extrapolated with a warning
    instead of downloaded, so that a result does not depend on the day it was computed.

    Python does not look for garbage meanwhile, and never among what is there afterwards: nothing of
    it ever goes. This saves a fifth of the import, a tenth of a fit, and copies of pages in forks.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        _import_and_set_up()
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def _import_and_set_up() -> None:
    import gammapy.data
    import gammapy.datasets
    import gammapy.estimators
    import gammapy.makers
    import gammapy.modeling.models  # noqa: F401 - imported for the workers forked from here
    from astropy.utils import data, iers
    from gammapy.maps import WcsGeom

    guard_geometry(WcsGeom)
    hasten_gammapy()
    iers.conf.auto_download = False
    iers.conf.auto_max_age = None
    iers.conf.iers_degraded_accuracy = "warn"
    data.conf.allow_internet = False
    # a figure would add four hundred lines on the glyphs of its fonts to the log of a run
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    astropy_log = logging.getLogger("astropy")
    for handler in list(astropy_log.handlers):  # its records go the way of all others
        astropy_log.removeHandler(handler)
    astropy_log.propagate = True
