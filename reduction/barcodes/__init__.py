"""Barcodes: bars, the critical points at their ends, distances, files."""
