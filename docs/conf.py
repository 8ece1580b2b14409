"""The documentation as a site: `make docs` writes it into build/docs, and fails on a dead link."""

from linexport import __version__
from linexport._documented import FieldsShown

project = "linexport"
author = "the linexport authors"
version = release = __version__
extensions = [
    "myst_parser",  # pages are Markdown, as they are read in the repository
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.programoutput",  # commands, as `--help` says them
    "sphinx_copybutton",
]
myst_heading_anchors = 3  # links to headings, as the repository's own reader makes them
myst_enable_extensions = ["colon_fence"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["schemas"]
html_theme = "furo"
html_title = f"linexport {release}"
html_copy_source = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"


suppress_warnings = [
    "ref.python",  # a name that two public classes share, such as `read`
]


def setup(app):  # called by Sphinx
    """Leave fields out of a class's text: autodoc reads what stands beside them itself."""
    app.connect("autodoc-process-docstring", _without_fields, priority=1)  # before napoleon


def _without_fields(_app, what, _name, obj, _options, lines):
    shown = isinstance(vars(obj).get("__doc__"), FieldsShown) if what == "class" else False
    if shown and "Attributes:" in lines:  # not where autodoc has taken the text as it is written
        del lines[lines.index("Attributes:") :]
