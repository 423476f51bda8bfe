"""Training, one stage at a time, alone or inside a chain."""
