"""Run a chain over images: tiles, precision, memory."""
