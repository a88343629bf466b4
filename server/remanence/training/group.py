"""The processes that train together, one for each GPU: the first of them speaks and writes for all."""

from __future__ import annotations

import os

import psutil


class Group:
    """As `accelerate launch` tells it by the environment; a run without that is alone."""

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = int(os.environ.get("LOCAL_RANK", "0"))
        self.is_first = int(os.environ.get("RANK", "0")) == 0
        self._launcher = os.getppid()

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def head(self) -> psutil.Process:
        """The process whose end is the end of all."""
        return psutil.Process() if self.is_alone else psutil.Process(self._launcher)

    def has_lost_its_head(self) -> bool:
        """Whether the launcher was killed: somebody may have begun the run again."""
        return not self.is_alone and os.getppid() != self._launcher

    def agree(self, mine: bool) -> bool:
        """What the first process says, in all of them: one that ended alone would leave the others waiting
        for it."""
        if self.is_alone:
            return mine
        import torch
        import torch.distributed as together

        device = "cuda" if together.get_backend() == "nccl" else "cpu"
        said = torch.tensor([int(mine)], device=device)
        together.broadcast(said, 0)
        return bool(said.item())

    def wait(self) -> None:
        """Until every process is here."""
        if not self.is_alone:
            import torch.distributed as together

            together.barrier()
