"""Restoration stages: networks and filters behind one contract."""
