"""The default client of `compat.analytics`, in an application that was loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .._handlers import live_handlers
from .findings import Finding

_MODULE = "segment_logging.compat.analytics"


def open_default_client() -> Iterator[Finding]:
    """Create the default client, as the first call would, and yield what is found about it.

    Its handler can then be checked like others. This starts no thread. Nothing is done if the
    application did not import the module, or if it uses other handlers and sets no write key.
    """
    analytics = sys.modules.get(_MODULE)
    if analytics is None:
        return
    if analytics.default_client is None:
        if analytics.write_key is None:
            if not live_handlers():
                yield Finding("problem", "write key", "analytics.write_key is not set: set it, or, "
                              "if a function sets it, pass --app 'MODULE:FUNCTION()'")  # fmt: skip
            return
        try:
            analytics._client()
        except (ValueError, AssertionError) as error:  # as the first call would raise it
            subject = "write key" if str(error).startswith("write_key") else "configuration"
            yield Finding("problem", subject, f"a setting of analytics is invalid: {error}")
            return
    if analytics.default_client.send:
        yield Finding("ok", "handler", "analytics has a default client, which needs no logger")
    else:
        yield Finding("problem", "send", "analytics.send is False, so its calls are only checked: "
                      "set it to True")  # fmt: skip
