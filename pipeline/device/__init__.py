"""Devices: names, number formats, memory, copies to and from them."""
