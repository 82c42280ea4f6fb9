"""Optimizers: what lowers the loss on simplices by moving their free control points."""
