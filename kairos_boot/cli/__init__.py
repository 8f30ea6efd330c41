"""The command line: one file per verb; wiring, printing and exit codes live here and nowhere else."""
