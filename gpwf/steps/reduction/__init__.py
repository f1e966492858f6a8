"""From observations to datasets: settings, checks, spectra of a region (1d) and maps (3d)."""
