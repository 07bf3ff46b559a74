"""Tests with the programs and libraries in which the package runs, each in its own process."""
