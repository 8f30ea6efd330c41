"""Programs of others that are told of events: the plugin bus that published providers speak."""
