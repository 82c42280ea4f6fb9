"""Filtrations of simplicial complexes: their simplices, listed or all, and how one is made."""
