"""What a network looks at: heat maps of its levels and its receptive field."""
