"""Tests for the collector, a local endpoint that imitates Segment."""
