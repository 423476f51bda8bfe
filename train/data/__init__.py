"""Training data: where the files are, which of them validate, and the batches made of them."""
