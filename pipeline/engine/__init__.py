"""What runs a chain over pixels: where, in which numbers, in how much memory."""
