"""What is known of a landscape, and how: by formula, table, product, or exhaustive search."""
