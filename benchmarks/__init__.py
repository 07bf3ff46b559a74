"""Benchmarks of segment-logging and of comparable clients. Run them with `make bench`."""
