"""Graphs that join minima near each other."""
