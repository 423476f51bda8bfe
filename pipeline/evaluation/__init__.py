"""Compare results with references, after every stage and without every stage."""
