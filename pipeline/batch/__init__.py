"""Many files through one chain: what to do, doing it, and the log of what was done."""
