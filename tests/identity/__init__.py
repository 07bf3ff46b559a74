"""Tests for binding users and context."""
