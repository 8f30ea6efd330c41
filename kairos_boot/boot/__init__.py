"""The initrd half: which boot this is, the state image, the immutable root and what is persistent in it."""
