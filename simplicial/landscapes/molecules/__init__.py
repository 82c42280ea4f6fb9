"""Energies of molecules and clusters of atoms."""
