"""Back ends: what runs a stage's network, torch or another engine."""
