"""The inductive builder at work: chunks of simplices, finished here or by workers."""
