"""Tests for the testing kit."""
