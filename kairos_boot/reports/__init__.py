"""What operators look at: reports over the ledger. They change nothing."""
