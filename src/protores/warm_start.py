"""A training that starts from a finished run: its network, its settings and roles, a short schedule at a low rate.

That is how a model takes in corrections from the line: it keeps what it knows, in a part of the time. The prototypes
are made anew, of all good images that train now. In the end old and new weights are averaged, as in WiSE-FT (Wortsman
et al., CVPR 2022): that keeps most of what the new ones learnt, and forgets little (docs/method.md).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from protores import presets
from protores.bundle.contract import sha256_of
from protores.data.splits import TRAINING, Split
from protores.errors import RunError, SettingsError, SplitError
from protores.model.network import PRN
from protores.run import Run
from protores.settings import Settings

STEPS, RATE = 0.25, 0.3
"""Steps and minutes, and the peak of the learning rate, as shares of those of the run that is started from."""
_PROTOTYPES = "residuals."
_NAMED = 3


def inherited(old: Run, overrides: Mapping[str, Any]) -> Settings:
    """The settings of a run with a schedule for going on from it, and overrides on top.

    A run that started from another one hands its own schedule on. Folders that were added to it stay added. Raises
    SettingsError for another backbone than the run's.
    """
    settings = old.read_settings()
    changes: dict[str, Any] = {}
    if settings.training.warm_start is None:
        training = settings.training
        changes = {
            "training.steps": max(1, round(training.steps * STEPS)),
            "training.minutes": None if training.minutes is None else training.minutes * STEPS,
            "training.learning_rate": training.learning_rate * RATE,
        }
    add = tuple(dict.fromkeys((*settings.data.add, *overrides.get("data.add", ()))))
    new = presets.changed(settings, {**changes, **overrides, "data.add": add})
    if new.model.weights != settings.model.weights:
        raise SettingsError(f"--from keeps the backbone of {old.path}; leave out --weights, or train without --from")
    return new


def require_kept(split: Split, old: Run) -> None:
    """Raise SplitError unless every image that trained the run trains now, so that none can be judged on."""
    training = {entry.pixels for entry in split.entries if entry.role in TRAINING}
    lost = [e.path for e in old.read_split().entries if e.role in TRAINING and e.pixels not in training]
    if lost:
        names = ", ".join(lost[:_NAMED]) + (f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else "")
        raise SplitError(
            f"{len(lost)} images trained {old.path} and would not train now: {names}; put them back, with its seed and"
            " split, and new images into a folder for --add, or train without --from"
        )


def require_unchanged(run: Run, old: Run) -> None:
    """Raise RunError where an interrupted training began from another model than the run has now."""
    began = (run.read_environment().get("files") or {}).get("warm start")
    if began != sha256_of(old.model):
        raise RunError(f"{old.path} is not the run any more that {run.path} was begun from; train into another folder")


def fill(network: PRN, old: Run) -> None:
    """Puts a run's weights and running averages, the backbone's included, into a network with prototypes of its own.

    Raises RunError where the run is not finished or its network is another one.
    """
    kept = _learnt(old.read_model())
    own = _learnt(network.state_dict())
    if {name: tensor.shape for name, tensor in own.items()} != {name: tensor.shape for name, tensor in kept.items()}:
        raise RunError(f"{old.path} has another network; leave its model settings as they are, or train without --from")
    network.load_state_dict(kept, strict=False)


def blend(network: PRN, old: Run, share: float) -> None:
    """Leaves this share of a trained network's weights and running averages in it; the rest becomes the run's."""
    before = old.read_model()
    for name, tensor in _learnt(network.state_dict()).items():
        if tensor.is_floating_point():
            tensor.lerp_(before[name].to(tensor), 1 - share)


def _learnt(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.startswith(_PROTOTYPES)}
