"""What training minimizes: losses that are formulas, perceptual losses and their weighted sum."""
