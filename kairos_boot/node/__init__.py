"""What this node is: its merged configuration, its state, its boot environment."""
