"""Tests for the handler from the caller's point of view."""
