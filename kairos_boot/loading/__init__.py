"""Which documents there are: sources, the reader that a node hands in, and the record of what was parsed."""
