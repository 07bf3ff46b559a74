"""Tests for the integrations, with the real frameworks. They are skipped if one is missing."""
