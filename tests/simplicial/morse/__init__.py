"""Tests of `simplicial.morse`."""
