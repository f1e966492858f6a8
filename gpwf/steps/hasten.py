"""Detours of gammapy 2.1 that cost half the time of a fit, avoided where they change nothing.

Every replacement gives the same numbers to the last bit (``tests/science/test_hasten.py``), and is
made only where gammapy's function still is the one that was looked at: another version runs as it
is. See ``docs/design/0013-one-task-on-many-cores.md``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import logging
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["hasten_gammapy"]

log = logging.getLogger(__name__)

# functions of gammapy that are replaced: the beginning of the SHA-256 of their source
_KNOWN = {"Map._init_copy": "47e7ce13c641bd2e", "Datasets.stat_sum": "5615cc7c813172c9"}


def hasten_gammapy() -> None:
    """Replace slow functions of gammapy in this process; once, or none where they are others."""
    from gammapy.datasets import Datasets
    from gammapy.maps import Map

    if "ray" not in sys.modules and importlib.util.find_spec("ray") is None:
        # gammapy tries to import it thousands of times in a fit, and each time Python looks through
        # all its folders; None makes it fail at once
        sys.modules["ray"] = None  # type: ignore[assignment]
    _replace(Map, "_init_copy", _init_copy)
    _replace(Datasets, "stat_sum", _stat_sum)


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method where it is the known one."""
    method = getattr(owner, name)
    known = _KNOWN[f"{owner.__name__}.{name}"]
    try:
        source = inspect.getsource(method)
    except OSError:  # an installation without sources
        return
    if hashlib.sha256(source.encode()).hexdigest().startswith(known):
        setattr(owner, name, make(method))
    else:
        log.debug("gammapy's %s.%s is another one", owner.__name__, name)


def _init_copy(method: Any) -> Any:
    def _init_copy(self: Any, **kwargs: Any) -> Any:
        """Copy a map, but not its geometry: maps share geometries, nobody changes one in place."""
        kwargs.setdefault("geom", self._geom)
        return method(self, **kwargs)

    return _init_copy


def _stat_sum(method: Any) -> Any:
    from gammapy.modeling import Parameters

    def stat_sum(self: Any) -> Any:
        """Add up the statistic and the priors, without a covariance matrix on the way."""
        if self._penalties is not None:
            return method(self)
        models = {model: None for dataset in self for model in dataset.models or ()}
        priors = Parameters.from_stack([model.parameters for model in models]).prior_stat_sum()
        total = 0.0
        for dataset in self:
            total += dataset.stat_sum()
        return total + priors

    return stat_sum
