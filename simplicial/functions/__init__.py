"""Functions of other libraries as losses, and gradients that torch did not compute."""
