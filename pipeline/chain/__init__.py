"""Chains of stages: YAML, modules, requirements and costs."""
