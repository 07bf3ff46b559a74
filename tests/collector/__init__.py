"""The local, Segment-shaped endpoint."""
