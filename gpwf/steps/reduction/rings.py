"""Background from a ring around every pixel, where the ring has something to measure."""

from __future__ import annotations

from typing import Any

__all__ = ["RingBackground"]


class RingBackground:
    """A ring maker of gammapy whose result has no pixel with a background of nothing.

    gammapy convolves by Fourier transforms: where an exclusion fills the whole ring, the acceptance
    of the OFF counts is not zero but about 1e-15 of either sign. Half of these pixels keep their
    safe mask, with a background of any size up to 1e302, which also spoils the sum of several
    observations; and where an adaptive ring never gets large enough, OFF counts are NaN. Both are
    taken out of the safe mask here, and set to zero; so are pixels beyond the response.

    Where no event is in the ring, OFF counts are about 1e-7 of either sign, and the significance is
    infinite or not a number. They are rounded here to the whole numbers that they are.

    Parameters
    ----------
    maker : `gammapy.makers.RingBackgroundMaker` or `gammapy.makers.AdaptiveRingBackgroundMaker`
        With a mask that covers the map, or none.
    """

    def __init__(self, maker: Any) -> None:
        self._maker = maker

    def run(self, dataset: Any, observation: Any) -> Any:
        """Return a `gammapy.datasets.MapDatasetOnOff`."""
        import numpy as np

        found = self._maker.run(dataset, observation)
        parts = ("acceptance", "acceptance_off", "counts_off")
        good = np.logical_and.reduce([np.isfinite(getattr(found, name).data) for name in parts])
        good &= found.acceptance.data > 0
        if hasattr(self._maker, "kernel"):  # the adaptive ring grows until it has enough
            good &= self._has_ring(dataset)
        for name in parts:
            getattr(found, name).data[~good] = 0
        found.counts_off.data = np.rint(found.counts_off.data) + 0.0  # no negative zero
        found.mask_safe.data &= good
        return found

    def _has_ring(self, dataset: Any) -> Any:
        """Tell for every pixel whether its ring has one with a background; bool, shape as counts.

        Pixels are counted, so that the errors of the Fourier transform are small against one.
        """
        import numpy as np
        from gammapy.maps import Map

        used = Map.from_geom(dataset.counts.geom, data=(dataset.background.data > 0).astype(float))
        mask = self._maker.exclusion_mask
        if mask is not None:
            image = mask.interp_to_geom(used.geom.to_image(), fill_value=1)
            used.data *= np.asarray(image.data, dtype=float)
        return used.convolve(self._maker.kernel(used).array).data > 0.5
