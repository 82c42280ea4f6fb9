"""Losses of small models of data."""
