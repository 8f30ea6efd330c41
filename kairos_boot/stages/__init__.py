"""Documents in, records out: order, conditions, execution, and the ledger of it."""
