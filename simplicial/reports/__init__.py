"""Reports of runs and results: status, pages, pictures."""
