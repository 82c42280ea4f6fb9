"""Persistence pairs: reduction of boundary and coboundary matrices over a prime field."""
