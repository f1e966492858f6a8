"""From a plan and its journal to a W3C PROV record; the only user of the library prov."""
