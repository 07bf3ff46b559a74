"""Tests that the README and the documentation are correct, and that their examples run."""
