"""Text in, typed documents out."""
