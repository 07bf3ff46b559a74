"""Segment's calls, and how they are written."""
