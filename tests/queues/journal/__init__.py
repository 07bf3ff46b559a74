"""Tests for the journal."""
