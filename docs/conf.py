"""Nothing here asks the network, so that the documentation builds offline and with -W."""

from importlib.metadata import version as installed_version

project = "Flask Concurrency Guard"
copyright = "2026, the Flask Concurrency Guard contributors"
release = installed_version("Flask-Concurrency-Guard")
version = release.rpartition(".")[0]

extensions = ["myst_parser", "pallets_sphinx_themes", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
# `## Cost` can be linked to as configuration.md#cost.
myst_heading_anchors = 3
# Two domains of the theme can't resolve untyped links. Those links lead elsewhere anyway, and one
# that leads nowhere has a warning of its own.
suppress_warnings = ["myst.domains"]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"

html_theme = "flask"
html_title = f"{project} {release}"
html_show_sourcelink = False
html_copy_source = False
