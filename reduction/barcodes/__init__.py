"""Barcodes: their bars, the critical points at their ends, distances between them, files of them."""
