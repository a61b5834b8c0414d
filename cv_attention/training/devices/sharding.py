"""Shards weights, gradients and optimizer state over devices with FSDP2."""

from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn

NAME = "fsdp2"


class Sharded(ModelParallelStrategy):
    """Runs Lightning's strategy with all devices in one FSDP2 group.

    Checkpoints hold the whole network under its usual names, so that they can be used on any number of devices.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """Puts all processes of all nodes into one group."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def shard(network: nn.Module, mesh: Any) -> None:
    """Shards every module whose children are layers (a residual block, a stage's stem), and the rest as a whole.

    Args:
        network: The network; attached blocks are sharded with their module.
        mesh: The devices.
    """
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    # FSDP2 supports no other memory format of weights yet; images, which convolutions follow, stay channels_last.
    network.to(memory_format=torch.contiguous_format)

    def unit(module: nn.Module) -> bool:
        children = list(module.children())
        return bool(children) and all(not list(child.children()) for child in children if not _is_list(child))

    for module in [module for module in network.modules() if unit(module) and not _is_list(module)]:
        if module is not network:
            fully_shard(module, mesh=mesh)
    fully_shard(network, mesh=mesh)
    for name in ("loss", "search"):  # which a network that reads calls in place of its forward
        if hasattr(network, name):
            register_fsdp_forward_method(network, name)


def local(value: Tensor) -> Tensor:
    """Returns this process's part of a sharded tensor; other tensors are returned unchanged."""
    to_local = getattr(value, "to_local", None)
    return to_local() if to_local is not None else value


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, (nn.ModuleList, nn.ModuleDict))
