"""Critical points: the search for them, and certificates at the ends of bars."""
