"""Published weights by name: what is known of each, where it lies, and how it comes onto this machine."""
