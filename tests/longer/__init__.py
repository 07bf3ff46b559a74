"""Programs that look for faults with random input, for much longer than the tests.

CI runs them with few rounds. Each prints its seed, with which the same run can be repeated.
"""
