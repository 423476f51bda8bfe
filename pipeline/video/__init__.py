"""Video through a chain: frames in, frames out, everything else of the film kept.

Nothing here imports PyAV before a video is opened.
"""
