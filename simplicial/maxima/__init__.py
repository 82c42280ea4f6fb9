"""The largest loss on a simplex: on a lattice (Algorithm 2), and refined from there."""
