"""Tests for sending a single POST request and interpreting its answer."""
