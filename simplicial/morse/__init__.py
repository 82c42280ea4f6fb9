"""The Morse complex of a smooth function: critical points, and gradient-flow lines between them."""
