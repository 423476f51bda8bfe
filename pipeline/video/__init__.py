"""Films through a chain, with everything that lies beside the pictures."""
