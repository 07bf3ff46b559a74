"""The framework integrations, each under the real framework; skipped where one is missing."""
