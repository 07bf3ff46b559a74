# pyright: strict
"""Code that type checkers reject: every line that ends in `# error`, and no other line."""

import logging

from segment_logging import SegmentExtra, SegmentLogger

log = SegmentLogger("tests.typing")
logger = logging.getLogger("tests.typing")

# Misspelled names.
log.track("Signup", usr_id="u")  # error
log.track("Signup", propertys={})  # error
log.identify(usr_id="u")  # error
log.identify(trait={})  # error
log.page("Docs", usr_id="u")  # error
log.screen("Home", usr_id="u")  # error
log.group("c-7", usr_id="u")  # error
log.alias(usr_id="new", previous_id="old")  # error
log.bind(usr_id="u")  # error
SegmentLogger("tests.typing", usr_id="u")  # error
misspelt: SegmentExtra = {"usr_id": "u"}  # error
logger.info("Signup", extra=SegmentExtra(usr_id="u"))  # error
nested: SegmentExtra = {"segment": {"usr_id": "u"}}  # error
camel: SegmentExtra = {"userId": "u"}  # error
reserved: SegmentExtra = {"name": "Docs"}  # error

# Wrong types.
log.track(7)  # error
log.track("Signup", properties=[1])  # error
log.track("Signup", properties={1: 2})  # error
log.track("Signup", user_id=["u"])  # error
log.track("Signup", user_id=1.5)  # error
log.track("Signup", context="192.0.2.1")  # error
log.track("Signup", integrations=["Mixpanel"])  # error
log.track("Signup", timestamp=["now"])  # error
log.track("Signup", message_id=7)  # error
log.track("Signup", level="INFO")  # error
log.identify(traits="pro")  # error
log.page(7)  # error
log.group(["c-7"])  # error
log.bind(properties=[1])  # error
SegmentLogger(7)  # error
typed: SegmentExtra = {"user_id": "u", "properties": [1]}  # error
call: SegmentExtra = {"type": "trakc"}  # error

# Missing, unexpected or misplaced arguments.
log.track()  # error
log.group()  # error
log.alias(user_id="new")  # error
log.track("Signup", "u")  # error
log.identify("u")  # error
log.bind(event="Signup")  # error
log.bind(message_id="m-1")  # error

# Correct code, to detect a checker that rejects everything.
log.track("Signup", user_id="u", properties={"plan": "pro"})
fine: SegmentExtra = {"user_id": "u", "properties": {"plan": "pro"}}
