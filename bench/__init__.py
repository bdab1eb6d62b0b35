"""Benchmarks: ratios measured side by side in one run, with hardware and versions. No test asserts a time."""
