"""Chains of stages: their YAML, their modules, what they need and what they cost."""
