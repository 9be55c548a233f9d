"""A training in several processes, for test_group.py: torchrun or Lightning runs this script in each of them.

    together.py DATA OUT STATES SETTINGS [--resume] [--stop STEP]

SETTINGS are JSON. STATES gets the network of each process before and after training, and Adam's first moments after the
first step. --stop: the second process is told to stop, as by kill, after so many steps.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch.distributed as dist
from safetensors.torch import save_file

from protores import cli, judgement, workflow
from protores.training.module import PRNTraining

data, out, states, settings = sys.argv[1:5]
resume = "--resume" in sys.argv
stop = int(sys.argv[sys.argv.index("--stop") + 1]) if "--stop" in sys.argv else None
fit, optimizer_step = workflow.fit, PRNTraining.optimizer_step


def save(tensors, when):
    tensors = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, Path(states) / f"{when}-{dist.get_rank()}.safetensors")


def recorded(network, *args, **kwargs):
    save(network.state_dict(), "before")
    outcome = fit(network, *args, **kwargs)
    save(network.state_dict(), "after")
    return outcome


def watched(self, *args, **kwargs):
    optimizer_step(self, *args, **kwargs)
    if self.step == 1:
        save(moments(self), "moments")
    if self.step == stop and dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGTERM)


def moments(training):
    """What the gradients of one step left, by parameter."""
    state = training.optimizer.state
    return {name: state[p]["exp_avg"] for name, p in training.network.named_parameters() if p.requires_grad}


def main():
    workflow.fit, PRNTraining.optimizer_step = recorded, watched
    judgement.PART = 8  # so that the few test images are more than one part
    cli.app = lambda: workflow.train(Path(data), Path(out), "quick", json.loads(settings), resume=resume)
    cli.main()


main()
