"""Golden tests: what configurations do to a node that is a directory, compared with what a file says."""
