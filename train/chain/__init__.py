"""Training a stage inside a chain: which stages images go through, and how they run."""
