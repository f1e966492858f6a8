"""The step types of gpwf, one file each."""
