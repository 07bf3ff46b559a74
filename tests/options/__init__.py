"""Tests for the table of options."""
