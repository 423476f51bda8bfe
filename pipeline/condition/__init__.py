"""Estimate what has happened to an image: noise, blur, JPEG compression, aliasing; and how strongly to restore it."""
