"""How much work the suite does: a smoke run, the usual run, and the one with full tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The size of each cell's work; the same for every contender of a cell."""

    rounds: int
    seconds: float
    prefilled: tuple[int, ...]
    callers: tuple[int, ...]
    projected: int
    projected_singly: int
    relayed: int
    dispatched: int
    kills: int
    outstanding: tuple[int, ...]
    tills: int
    lengths: tuple[int, ...]
    loads: int


SMOKE = Scale(
    rounds=1,
    seconds=0.2,
    prefilled=(0,),
    callers=(4,),
    projected=300,
    projected_singly=30,
    relayed=300,
    dispatched=20,
    kills=1,
    outstanding=(1, 4),
    tills=2,
    lengths=(10, 300),
    loads=20,
)
QUICK = Scale(
    rounds=5,
    seconds=1.0,
    prefilled=(0,),
    callers=(16, 64),
    projected=40_000,
    projected_singly=500,
    relayed=10_000,
    dispatched=200,
    kills=3,
    outstanding=(1, 10, 50),
    tills=50,
    lengths=(10, 100, 1_000, 10_000, 100_000),
    loads=100,
)
FULL = Scale(
    rounds=5,
    seconds=5.0,
    prefilled=(0, 1_000_000),
    callers=(16, 64),
    projected=200_000,
    projected_singly=5_000,
    relayed=50_000,
    dispatched=2_000,
    kills=25,
    outstanding=(1, 10, 50),
    tills=50,
    lengths=(10, 100, 1_000, 10_000, 100_000),
    loads=1_000,
)
