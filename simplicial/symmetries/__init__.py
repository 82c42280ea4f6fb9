"""Discrete symmetries of losses: points that are copies of one another."""
