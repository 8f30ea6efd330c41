"""Effects as data: described for people, compared with the node, applied once."""
