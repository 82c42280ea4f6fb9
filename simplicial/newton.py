"""Eigenvector following, under the name by which users import it."""

from simplicial.critical_points.eigenvector_following import follow

__all__ = ["follow"]
