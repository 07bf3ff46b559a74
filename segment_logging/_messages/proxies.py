"""What a proxy stands for: lazy objects and translations, locals of a request, wrappers.

A proxy tells `isinstance` that it is of the class of the value behind it, and fails as soon as a
method of that class is called on it. Each library has its own way to that value. They are known by
the names that their classes have, so that none of these libraries is imported. Pure.
"""

from __future__ import annotations

from collections import UserString
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ..errors import InvalidMessage

HONEST = frozenset({str, int, float, bool, type(None), dict, list, tuple, datetime, date, Decimal})
"""Classes of which a value is what it says. All others have to be looked at."""

_MOST_LAYERS = 20
_LAZY_TEXTS = frozenset({"LazyString", "_LazyString"})  # Flask-Babel and speaklater


def behind(value: Any) -> Any:
    """Return what a value stands for; any value that is no proxy as it is.

    What stands for nothing is None: a local outside of its request, and pandas' NA. What only
    claims to be of another class, as a mock with a spec does, is its text.

    Raises:
        InvalidMessage: proxies stand for each other, in a circle.
        Exception: whatever a lazy object raises when it is asked for what it stands for.
    """
    for _ in range(_MOST_LAYERS):
        kind = type(value)
        if kind in HONEST:
            return value
        claimed = value.__class__  # which has a lazy object make what it stands for
        if hasattr(kind, "_get_current_object"):  # werkzeug, Flask, Celery
            try:
                value = value._get_current_object()
            except RuntimeError:
                return None
        elif hasattr(kind, "_proxy____cast"):  # Django's lazy translations
            value = value._proxy____cast()
        elif kind.__name__ == "LazyProxy" and hasattr(kind, "value"):  # Babel
            value = value.value
        elif kind.__name__ in _LAZY_TEXTS or isinstance(value, UserString):
            return str(value)
        elif kind.__name__ == "NAType":
            return None
        elif claimed is kind:
            return value
        elif hasattr(kind, "__wrapped__"):  # wrapt, lazy-object-proxy
            value = value.__wrapped__
        elif hasattr(kind, "_wrapped"):  # Django's SimpleLazyObject
            value = value._wrapped
        else:
            return _as_claimed(value, claimed)
    raise InvalidMessage("a proxy stands for itself: pass the value")


def _as_claimed(value: Any, claimed: Any) -> Any:
    """Return the value of another class than its own as what it claims to be, or as its text."""
    try:
        if issubclass(claimed, Mapping):
            return dict(value.items())
        for honest in (str, bool, int, float, list, tuple):
            if issubclass(claimed, honest):
                return honest(value)
        if issubclass(claimed, type(None)):
            return None
    except Exception:
        pass  # a mock: it has no value
    return str(value)
