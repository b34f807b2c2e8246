"""Several processes, one training: what torchrun started, or this process alone."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from napari_invisp.devices import choose_device

# The first process validates while the others wait for it.
_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Team:
    """The processes that train together.

    Attributes
    ----------
    device
        Where this one computes.
    rank, size
        Which one it is, of how many.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module so that gradients are means over the processes."""
        if self.size == 1:
            return module
        return DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over the processes."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def any(self, condition: bool) -> bool:
        """Tell whether a condition holds in one of the processes at least."""
        if self.size == 1:
            return condition
        return bool(self.sum(torch.tensor(float(condition), device=self.device)).item())


@contextmanager
def joined(device: str, notify: Callable[[str], None]) -> Iterator[Team]:
    """Join the processes that torchrun started, or be alone.

    Parameters
    ----------
    device
        Of :data:`~napari_invisp.settings.DEVICES`; with CUDA each process of a machine takes
        another one.
    notify
        Called with a sentence if that device is not to be had.

    Yields
    ------
    Team
        Left again at the end.
    """
    chosen, note = choose_device(device)
    if note is not None:
        notify(note)
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        yield Team(chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(chosen)
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Team(chosen, distributed.get_rank(), size)
    finally:
        gc.collect()  # a wrapped module that outlives the group may abort the process at its end
        distributed.destroy_process_group()
