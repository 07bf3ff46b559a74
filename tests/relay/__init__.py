"""Tests for the relay."""
