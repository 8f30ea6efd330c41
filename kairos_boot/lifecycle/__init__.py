"""What happens to a node between its boots: actions as lists of phases, which a cut never leaves half done (G8)."""
