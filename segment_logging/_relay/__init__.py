"""The relay: takes bundles from a broker's queue, and sends their messages to Segment."""
