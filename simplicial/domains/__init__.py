"""Domains of losses: walls, periods, and what leaves a loss as it is."""
