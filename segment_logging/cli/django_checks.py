"""Checks whether a Django project, if the program is one, uses the middleware that it needs.

Django is not imported here.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

from .findings import Finding
from .loading import CALL

MIDDLEWARE = "segment_logging.contrib.django.SegmentMiddleware"

_WSGI = "segment_logging.contrib.wsgi"


def checks_of_django(app: str | None = None) -> Iterator[Finding]:
    """Yield a note if events lack the visitor, and one if they are lost when an ASGI server stops.

    Args:
        app: the name of the application that was loaded, if any.
    """
    yield from _checks_of_settings()
    handlers: Any = sys.modules.get("django.core.handlers.asgi")
    if handlers is None or app is None or app.endswith(CALL):
        return
    if isinstance(pkgutil.resolve_name(app), handlers.ASGIHandler):
        yield Finding(
            "note",
            "django",
            f"{app} does not deliver waiting events when an ASGI server such as uvicorn stops: "
            "wrap it in segment_logging.contrib.asgi.SegmentMiddleware",
        )


def _checks_of_settings() -> Iterator[Finding]:
    """Yield a note if the settings have URLs, but not the middleware.

    There is no note about a project that has imported only the integration for WSGI, because it may
    wrap its application in that. The finding is a note and not a problem, because the program may
    pass an id with each event, or call our middleware in its own.
    """
    django_conf: Any = sys.modules.get("django.conf")
    settings: Any = getattr(django_conf, "settings", None)
    if not getattr(settings, "configured", False) or not getattr(settings, "ROOT_URLCONF", None):
        return
    if _WSGI in sys.modules and MIDDLEWARE.rpartition(".")[0] not in sys.modules:
        return
    if any(map(_is_ours, settings.MIDDLEWARE)):
        return
    yield Finding(
        "note",
        "django",
        f"MIDDLEWARE does not contain {MIDDLEWARE}, so events in requests do not get the "
        "ids of the visitor and the user: put it first",
    )


def _is_ours(path: str) -> bool:
    """Return whether a dotted path names our middleware or a subclass of it."""
    if path == MIDDLEWARE:
        return True
    module, _, name = path.rpartition(".")
    bases = getattr(getattr(sys.modules.get(module), name, None), "__mro__", ())
    return MIDDLEWARE in [f"{one.__module__}.{one.__qualname__}" for one in bases]
