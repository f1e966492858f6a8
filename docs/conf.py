"""Sphinx configuration. Build with `sphinx-build -W --keep-going docs docs/_build`."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "gpwf"
author = "gpwf developers"
copyright = "2026, gpwf developers"
release = version = metadata.version("gpwf")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "gpwf_reference",
]
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]  # the diagnostics page shows broken YAML

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4
myst_fence_as_directive = []

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "ignore-module-all": True,  # what a module exports from elsewhere is documented there
}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "py:obj"
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = f"gpwf {release}"
html_static_path = ["_static"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
