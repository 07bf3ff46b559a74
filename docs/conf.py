"""How Sphinx builds these pages: `make docs`."""

import sys
from importlib.util import find_spec
from pathlib import Path

from segment_logging import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "segment-logging"
author = "the segment-logging authors"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docstrings",  # which are plain text, and not reStructuredText
    "generated",  # tables that are made from the package
]
exclude_patterns = ["_ext"]

# Directives stand between colons, and code between backticks; `eval-rst` cannot but do the latter.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 88
# Where a framework is not installed, its page in the reference is built all the same.
autodoc_mock_imports = [
    name for name in ("asgiref", "celery", "django", "flask", "pytest") if find_spec(name) is None
]
default_role = "literal"  # `like this` in a docstring is code
smartquotes = False  # a quoted text is what to write

html_theme = "furo"
html_title = f"segment-logging {release}"
html_theme_options = {
    "source_repository": "https://github.com/segment-logging/segment-logging/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_copy_source = False
