"""Settings of Sphinx: ``python -m sphinx -W -b html docs docs/_build``."""

project = "Thetaloop"
author = "the Thetaloop developers"
project_copyright = author
version = release = "0.1.0"
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "A server for sequential experiments", "fixed_sidebar": True}
# Scripts in these pages use names that the sandbox gives them; they are highlighted, not run.
highlight_language = "none"
