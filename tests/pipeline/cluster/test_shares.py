"""Machines are divided among workers without a remainder that none could use."""

from typing import Literal

import pytest

from pipeline.cluster.shares import Node, Shares, divide
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("nodes", "workers", "device", "expected"),
    [
        ([Node(8, 0)], "auto", "auto", Shares(8, 1, 0)),
        ([Node(8, 0)], 3, "auto", Shares(3, 2, 0)),
        ([Node(8, 0), Node(8, 0)], 3, "cpu", Shares(3, 4, 0)),  # 16 // 3 = 5 would leave room for two only
        ([Node(16, 4)], "auto", "auto", Shares(4, 4, 1)),
        ([Node(16, 4), Node(4, 2), Node(64, 0)], "auto", "cuda", Shares(6, 2, 1)),
        ([Node(16, 4)], "auto", "cpu", Shares(16, 1, 0)),
        ([Node(1, 2)], 1, "auto", Shares(1, 1, 1)),
    ],
)
def test_each_gets_a_gpu_or_an_equal_number_of_processors(
    nodes: list[Node], workers: int | Literal["auto"], device: str, expected: Shares
) -> None:
    assert divide(nodes, workers, device) == expected


@pytest.mark.parametrize(
    ("workers", "device", "says"),
    [
        (9, "cpu", "workers: got 9, expected at most 8: there are 8 processors"),
        (3, "auto", "workers: got 3, expected at most 2: there are 2 GPUs"),
        (1, "cuda:1", "device: got 'cuda:1', expected auto, cpu or cuda"),
    ],
)
def test_what_cannot_be_divided_is_refused(workers: int, device: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        divide([Node(8, 2)], workers, device)
