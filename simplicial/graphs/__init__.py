"""Graphs of a loss: the merge forest of its minima, and its transition states."""
