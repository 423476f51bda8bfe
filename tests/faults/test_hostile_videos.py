"""Files that name other files or addresses, or that would block: nothing but the input itself is opened."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.command import run_here
from tests.faults.outcome import faults_of
from tests.pipeline.video import clips

pytestmark = [
    pytest.mark.usefixtures("kept_folder"),
    pytest.mark.skipif(sys.platform != "linux", reason="inotify reports which files are opened"),
]

_HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n{key}#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
_DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1" width="64" height="48">'
    "<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
_SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
_VOBSUB = (
    "# VobSub index file, v7 (do not modify this line!)\nsize: 64x48\nid: en, index: 0\n"
    "timestamp: 00:00:00:000, filepos: 000000000\n"
)
LISTS = {
    "hls": _HLS.format(key="", url="other.ts"),
    "hls_file": _HLS.format(key="", url="file:{folder}/other.ts"),
    "hls_address": _HLS.format(key="", url="{address}/a.ts"),
    "hls_concat": _HLS.format(key="", url="concat:{address}/a.ts|file:{folder}/other.ts"),
    "hls_key": _HLS.format(key='#EXT-X-KEY:METHOD=AES-128,URI="{address}/key"\n', url="other.ts"),
    "concat": "ffconcat version 1.0\nfile other.ts\n",
    "concat_address": "ffconcat version 1.0\nfile {address}/a.ts\n",
    "dash": _DASH.format(url="other.ts"),
    "dash_address": _DASH.format(url="{address}/a.mp4"),
    "sdp": _SDP,
    "vobsub": _VOBSUB,
    "asf": "[Reference]\r\nRef1={address}/a.asf\r\n",
    "asx": '<asx version="3.0"><entry><ref href="{address}/a"/></entry></asx>',
    "xspf": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:other.ts">]><playlist>&b;</playlist>',
}


class Watch:
    """Counts how often files are opened by anyone, and connections to an address of this machine."""

    def __init__(self, files: list[Path]) -> None:
        self._libc = ctypes.CDLL(None)
        self._notices = self._libc.inotify_init1(os.O_NONBLOCK)
        for file in files:
            assert self._libc.inotify_add_watch(self._notices, os.fsencode(file), 0x20) >= 0  # IN_OPEN
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def opened(self) -> bool:
        """Return whether a file was opened since the last call."""
        try:
            return bool(os.read(self._notices, 4096))
        except BlockingIOError:
            return False

    def connected(self) -> bool:
        """Return whether a connection was made since the last call."""
        try:
            self._server.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """End watching."""
        os.close(self._notices)
        self._server.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Watch ``other.ts`` in the test's folder, which is a real video."""
    clips.late_start(tmp_path / "other")
    (tmp_path / "clip.sub").write_bytes((tmp_path / "other.ts").read_bytes())
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    watch = Watch([tmp_path / "other.ts", tmp_path / "clip.sub"])
    yield watch
    watch.close()


def test_the_watch_notices_what_is_opened(tmp_path: Path, watch: Watch) -> None:
    assert not watch.opened()
    (tmp_path / "other.ts").read_bytes()
    assert watch.opened()
    socket.create_connection(("127.0.0.1", int(watch.address.rpartition(":")[2]))).close()
    assert watch.connected()


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_other_files_is_refused_and_none_of_them_opened(tmp_path: Path, watch: Watch, kind: str) -> None:
    content = LISTS[kind].replace("{folder}", str(tmp_path)).replace("{address}", watch.address)
    names = ("a.mp4", "b.ts", "clip.avi")
    for name in names:
        (tmp_path / name).write_text(content)
    ended = run_here([*names, "-o", "out", "-c", "chain.yaml", "--device", "cpu"], tmp_path)
    assert not list(faults_of(ended))
    assert ended.code == 1
    statuses = [json.loads(line)["status"] for line in (tmp_path / "out/restoration.jsonl").read_bytes().splitlines()]
    assert len(statuses) == 3
    assert not {"done"} & set(statuses)
    assert not watch.opened()
    assert not watch.connected()


def test_names_are_names_and_no_protocols_or_patterns(tmp_path: Path, watch: Watch) -> None:
    names = ("concat:other.ts|other.ts.mp4", "file:other.ts.mp4", "other%03d.mjpeg", "subfile,,start,0,end,9,,:x.ts")
    for name in names:
        (tmp_path / name).write_bytes(b"no video")
    ended = run_here([*names, "-o", "out", "-c", "chain.yaml", "--device", "cpu"], tmp_path)
    assert not list(faults_of(ended))
    assert ended.code == 1
    assert not watch.opened()


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "a.png", "b.tif"):
        os.mkfifo(tmp_path / "in" / name)
    ended = run_here(["in", "-o", "out", "-c", "chain.yaml", "--device", "cpu"], tmp_path)
    assert not list(faults_of(ended))
    assert ended.code == 1
