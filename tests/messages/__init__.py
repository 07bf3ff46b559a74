"""Tests for Segment's calls and their encoding."""
