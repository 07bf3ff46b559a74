"""Tests for SegmentLogger, which has a method for each of Segment's calls."""
