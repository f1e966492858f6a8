"""The vocabulary that all rooms share: frozen dataclasses and pure functions, no I/O."""
