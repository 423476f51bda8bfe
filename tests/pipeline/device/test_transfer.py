"""Copies to the device and back: none on a CPU, exact on a GPU, and never read before they are complete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from pipeline.device import transfer
from pipeline.device.transfer import Download, down, up

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_on_a_cpu_nothing_is_copied() -> None:
    tensor = torch.rand(3, 4)
    assert up(tensor, CPU) is tensor
    assert down(tensor).result() is tensor


class LazyStream:
    """A stream that does what it was given only when somebody waits for it: the latest that CUDA allows."""

    def __init__(self) -> None:
        self.given: list[Callable[[], object]] = []
        self.done = 0

    def catch_up(self, count: int) -> None:
        while self.done < count:
            self.done += 1
            self.given[self.done - 1]()

    def wait_stream(self, other: LazyStream) -> None:
        count = len(other.given)
        self.given.append(lambda: other.catch_up(count))

    def record_event(self) -> LazyEvent:
        return LazyEvent(self)


class LazyEvent:
    def __init__(self, stream: LazyStream) -> None:
        self.stream, self.count = stream, len(stream.given)

    def synchronize(self) -> None:
        self.stream.catch_up(self.count)


class Lazy:
    """The streams of a device, and the one that is current."""

    def __init__(self) -> None:
        self.streams = {name: LazyStream() for name in ("compute", "up", "down")}
        self.current = self.streams["compute"]

    @contextmanager
    def on(self, stream: LazyStream):
        before, self.current = self.current, stream
        yield
        self.current = before

    def fill(self, target: Tensor, make: Callable[[], Tensor]) -> Tensor:
        self.current.given.append(lambda: Tensor.copy_(target, make()))
        return target


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> Lazy:
    """A fake device: its tensors, and those in pinned memory, hold zeros until a stream has filled them."""
    streams = Lazy()

    class Pinned(Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl

        def to(self, device, non_blocking):
            assert non_blocking
            return streams.fill(torch.zeros(self.shape, dtype=self.dtype).as_subclass(There), lambda: self)

        def copy_(self, source, non_blocking=False):
            assert non_blocking == isinstance(source, There)
            return streams.fill(self, lambda: source) if non_blocking else super().copy_(source)

    class There(Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl
        is_cuda = True
        used_on: tuple[LazyStream, ...] = ()

        def record_stream(self, stream):
            self.used_on += (stream,)

    monkeypatch.setattr(
        torch, "empty_like", lambda like, **_: torch.zeros(like.shape, dtype=like.dtype).as_subclass(Pinned)
    )
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: streams.current)
    monkeypatch.setattr(torch.cuda, "stream", streams.on)
    monkeypatch.setattr(transfer, "_stream", lambda device, way: streams.streams[way])
    return streams


def test_nothing_is_read_before_it_is_there(lazy: Lazy) -> None:
    """However late streams do what they are given, and in whatever order results are asked for."""
    sources = [torch.rand(3, 4) for _ in range(4)]
    coming: list[Download] = []
    for source in sources:
        there = up(source, GPU)
        made = lazy.fill(torch.zeros_like(source).as_subclass(type(there)), lambda there=there: there + 1)
        coming.append(down(made))
        assert there.used_on == (lazy.streams["compute"],)  # else its memory is given away before it has been read
        assert made.used_on == (lazy.streams["down"],)
    for source, download in list(zip(sources, coming, strict=True))[::-1]:
        assert torch.equal(download.result().as_subclass(Tensor), source + 1)


def test_nobody_waits_for_more_than_was_asked_for(lazy: Lazy) -> None:
    first = down(up(torch.rand(3, 4), GPU))
    up(torch.rand(3, 4), GPU)
    assert lazy.streams["up"].done == 0
    first.result()
    assert lazy.streams["up"].done == 1


def interleaved(planes: Tensor) -> Tensor:
    """The same numbers with channels last in memory, as in image files."""
    return planes.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def wide(planes: Tensor) -> Tensor:
    """The same numbers, with gaps between rows as decoders leave them."""
    return torch.nn.functional.pad(planes, (0, 9))[..., :-9]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("index", [0, -1])
def test_streams_carry_the_very_numbers(index: int) -> None:
    """Many copies are under way at once, over memory that is given back as early as can be, while the device works."""
    device = torch.device("cuda", index % torch.cuda.device_count())
    load = torch.rand(2048, 2048, device=device)
    sources = [torch.randint(0, 256, (3, 500 + number, 700), dtype=torch.uint8) for number in range(40)]
    coming: list[Download] = []
    for number, source in enumerate(sources):
        layouts = source, interleaved(source), wide(source)
        there = up(layouts[number % 3], device)
        load = load @ load / 1000  # keeps what comes behind it waiting
        made = (there + 1)[:, 1:, 1:]  # not contiguous
        coming.append(down(made))
        del there, made
    for source, download in zip(sources, coming, strict=True):
        assert torch.equal(download.result(), (source + 1)[:, 1:, 1:])
