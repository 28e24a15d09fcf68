"""Several processes that train one network: each works on its share of every batch.

Started with torchrun, which says by environment variables how many there are. Gradients are sums
over numbers, not means, so adding them and dividing by the count of all gives what one process
would have got from the whole batch.
"""

import os

import torch
from torch import distributed, nn


def join() -> None:
    """Meet the other processes, where torchrun started some."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def size() -> int:
    """Count the processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Give this process's number, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def added(network: nn.Module, summed: float, count: float) -> tuple[float, float]:
    """Add up gradients, loss and count over all processes.

    Parameters
    ----------
    network : Module
        Its gradients are replaced by their sums.
    summed, count : float

    Returns
    -------
    float
    float
    """
    if size() == 1:
        return summed, count
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    told = torch.tensor([summed, count], dtype=torch.float64, device=parameters[0].device)
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    distributed.all_reduce(flat)
    distributed.all_reduce(told)
    for parameter, part in zip(
        parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True
    ):
        parameter.grad = part.view_as(parameter).clone()
    return float(told[0]), float(told[1])
