"""The jobs of a batch over several worker processes, on one machine or on many, by Ray."""
