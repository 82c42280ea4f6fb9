"""The inductive builder at work: batches of simplices, finished here or by workers."""
