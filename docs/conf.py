"""The Sphinx configuration for these pages. Build them with `make docs`."""

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
    "docstrings",  # converts plain-text docstrings
    "generated",  # tables that are generated from the package
]
exclude_patterns = ["_ext"]

# Directives are fenced with colons, and code with backticks. Only `eval-rst` needs backticks.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 88
# Builds the reference even if a framework is not installed.
autodoc_mock_imports = [
    name
    for name in (
        "asgiref",
        "celery",
        "django",
        "flask",
        "opentelemetry",
        "prometheus_client",
        "pytest",
    )
    if find_spec(name) is None
]
default_role = "literal"  # single backticks in docstrings mark code
smartquotes = False  # quoted text is often meant to be copied

html_theme = "furo"
html_title = f"segment-logging {release}"
html_theme_options = {
    "source_repository": "https://github.com/segment-logging/segment-logging/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_copy_source = False
