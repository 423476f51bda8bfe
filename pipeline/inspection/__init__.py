"""Inspect what a network's output depends on: heat maps of its levels, and its effective receptive field."""
