"""The files of the collector's web page, and the policy that limits what the page can do.

Nothing in a message can run as code. The page only inserts values as text, and its
Content-Security-Policy allows nothing but the files of this folder.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""The page's Content-Security-Policy."""

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@cache
def assets() -> dict[str, tuple[str, bytes]]:
    """Return the content type and the content of each file by its path, such as "/page.js"."""
    found = {}
    for file in files(__package__).joinpath("page").iterdir():
        ending = file.name.rpartition(".")[2]
        if file.is_file() and ending in _TYPES:
            found[f"/{file.name}"] = (_TYPES[ending], file.read_bytes())
    found["/"] = found.pop("/page.html")
    return found
