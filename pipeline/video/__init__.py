"""Video restoration: decoding, encoding and muxing around a chain of stages.

PyAV is imported only once a video is opened.
"""
