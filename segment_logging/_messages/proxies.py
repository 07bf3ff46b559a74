"""Unwrapping proxies: lazy objects, lazy translations, request locals and wrappers.

A proxy passes `isinstance` checks for the class of the value behind it, but methods of that class
fail on it. Each library has its own way to get that value. Proxies are recognised by the names of
classes and attributes, so that none of these libraries needs to be imported. Pure.
"""

from __future__ import annotations

from collections import UserString
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ..errors import InvalidMessage

HONEST = {str, int, float, bool, type(None), dict, list, tuple, datetime, date, Decimal}
"""Classes whose instances are never proxies. Values of other classes need to be checked.

UUID is added when the first one is seen, because importing `uuid` would take 3 ms.
"""

_MOST_LAYERS = 20
_LAZY_TEXTS = frozenset({"LazyString", "_LazyString"})  # Flask-Babel and speaklater
_ABSENT = frozenset({"NAType", "NaTType", "UnsetType"})  # pandas; msgspec and strawberry
_NUMPY_TIMES = frozenset({"datetime64", "timedelta64"})


def behind(value: Any) -> Any:
    """Return the value behind a proxy. A value that is not a proxy is returned unchanged.

    A proxy without a value becomes None, and so do the values with which libraries mark a missing
    value. Examples are a local outside its request, pandas' NA and NaT, and msgspec's UNSET. An
    object that only claims another class, such as a mock with a spec, becomes its `str()`.

    Raises:
        InvalidMessage: if proxies refer to each other in a circle.
        Exception: if a lazy object raises it while computing its value.
    """
    for _ in range(_MOST_LAYERS):
        kind = type(value)
        if kind in HONEST:
            return value
        try:
            claimed = value.__class__  # makes a lazy object compute its value
        except RecursionError:
            break
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
        elif kind.__name__ in _ABSENT:
            return None
        elif kind.__name__ in _NUMPY_TIMES:
            return None if str(value) == "NaT" else value
        elif claimed is kind:
            if kind.__name__ == "UUID" and kind.__module__ == "uuid":
                HONEST.add(kind)
            return value
        elif hasattr(kind, "__wrapped__"):  # wrapt, lazy-object-proxy
            value = value.__wrapped__
        elif hasattr(kind, "_wrapped"):  # Django's SimpleLazyObject
            value = value._wrapped
        else:
            return _as_claimed(value, claimed)
    raise InvalidMessage("a proxy refers to itself: pass the value instead")


def _as_claimed(value: Any, claimed: Any) -> Any:
    """Convert a value to the class that it claims to have, or to text if that fails."""
    try:
        if issubclass(claimed, Mapping):
            return dict(value.items())
        for honest in (str, bool, int, float, list, tuple):
            if issubclass(claimed, honest):
                return honest(value)
        if issubclass(claimed, type(None)):
            return None
    except Exception:
        pass  # a mock has no value
    return str(value)
