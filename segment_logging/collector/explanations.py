"""What each discard code means, and how to fix it, in words.

This module uses no clock, thread or socket.
"""

from __future__ import annotations

from typing import NamedTuple


class Explanation(NamedTuple):
    """The rule behind a discard code, and the way out."""

    rule: str
    fix: str


def _text_rule(field: str) -> Explanation:
    return Explanation(
        f"If a page or screen call has a {field}, it must be text that is not empty.",
        f"Send the {field} as text, or leave it out.",
    )


def _object_rule(field: str) -> Explanation:
    return Explanation(
        f"The {field} must be a JSON object.",
        "Send an object such as {}, not a list, a text or a number.",
    )


_CONSENT = "Segment checks the consent object of this event only."

EXPLANATIONS = {
    "empty_batch": Explanation(
        "A batch must contain at least one call.",
        'Put the calls in the list "batch", and send nothing if there are none.',
    ),
    "no_user_anon_id": Explanation(
        "A call must have a userId or an anonymousId.",
        "Set user_id or anonymous_id, for example with identity() or a framework's middleware.",
    ),
    "id_not_string": Explanation(
        "userId and anonymousId must be text that is not empty.",
        'Convert the id to text, such as "17", and leave it out if it is unknown.',
    ),
    "event_not_defined": Explanation(
        "A track call must have an event name.", 'Set "event" to the name of what happened.'
    ),
    "event_not_string": Explanation(
        "The name of an event must be text.", 'Send the name as text, such as "Signup".'
    ),
    "name_not_string": _text_rule("name"),
    "category_not_string": _text_rule("category"),
    "properties_not_object": _object_rule("properties"),
    "traits_not_object": _object_rule("traits"),
    "type_missing": Explanation(
        "Each call in a batch must be an object with a type.",
        'Set "type" to track, identify, page, screen, group or alias.',
    ),
    "type_unknown": Explanation(
        "The type must be track, identify, page, screen, group or alias.",
        "Correct the type. Types are in lower case.",
    ),
    "too_many_messages": Explanation(
        "A batch can contain at most 2,500 calls.", "Split the batch into smaller ones."
    ),
    "consent_categorypreferences_should_exist": Explanation(
        f"context.consent.categoryPreferences is missing. {_CONSENT}",
        "Add an object with true or false for each consent category.",
    ),
    "consent_categorypreferences_should_be_object": Explanation(
        f"context.consent.categoryPreferences must be an object. {_CONSENT}",
        "Send an object with true or false for each consent category.",
    ),
    "consent_categorypreferences_fields_should_be_bool": Explanation(
        f"Each value in context.consent.categoryPreferences must be true or false. {_CONSENT}",
        "Send true or false, not text or numbers.",
    ),
    "consent_version_should_be_number": Explanation(
        f"context.consent.version must be a number. {_CONSENT}", "Send a number, such as 2."
    ),
    "device_advertisingid_should_be_string": Explanation(
        f"context.device.advertisingId must be text. {_CONSENT}",
        "Send the id as text, or leave it out.",
    ),
}
"""The explanations by discard code."""
