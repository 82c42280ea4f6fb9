"""Symmetries of losses: continuous motions, and points that are copies of one another."""
