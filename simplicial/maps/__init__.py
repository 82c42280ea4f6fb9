"""Maps of the standard simplex into parameter space, psi(t) = W(t) P."""
