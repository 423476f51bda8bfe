"""What libav may open: one file, in a format that holds its video itself."""

from __future__ import annotations

# The demuxers of files that hold all of their video. libav has 330 more, and chooses by content: playlists, lists of
# files to concatenate, session descriptions and subtitles in two files make it open what they name.
_DEMUXERS = (
    *("asf", "asf_o", "av1", "avi", "cavsvideo", "dhav", "dirac", "dv", "flv", "gif", "gxf", "h264", "hevc", "ivf"),
    *("kux", "live_flv", "m4v", "matroska", "mjpeg", "mjpeg_2000", "mov", "mpeg", "mpegts", "mpegvideo", "mpjpeg"),
    *("mxf", "nsv", "nut", "obu", "ogg", "rm", "swf", "vc1", "vvc", "wtv", "yuv4mpegpipe"),
)
ONLY_THIS_FILE = {"format_whitelist": ",".join(_DEMUXERS), "protocol_whitelist": "file"}
