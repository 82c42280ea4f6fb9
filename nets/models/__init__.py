"""Network families, their recipes, and checkpoints of users' own."""
