"""Reads any table as columns of numbers and a loss, and a results folder as the runs of a sweep."""
