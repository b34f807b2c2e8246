"""The loop: an actor, two critics, and a folder from which the run can go on at any time.

As *Exposure* (section 5): the policy's choice of a filter follows the policy gradient, its
parameters the deterministic policy gradient, straight through the filters into the judges; both are
rewarded by how much more a picture looks like a retouched one after the step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from napari_invisp.errors import TrainingError
from napari_invisp.flow.tone import encode_gamma
from napari_invisp.retouching.looks import clipped
from napari_invisp.retouching.policy import Policy, State, bounded, situation
from napari_invisp.tiling import Progress
from napari_invisp.training.average import Average
from napari_invisp.training.interruption import Interruption
from napari_invisp.training.log import Log
from napari_invisp.training.retouch.judging import (
    discriminator_cost,
    distance,
    make_discriminator,
    make_value,
)
from napari_invisp.training.retouch.pictures import Pictures, gather
from napari_invisp.training.retouch.pool import Pool, middles, windows
from napari_invisp.training.retouch.run import PolicyRun
from napari_invisp.training.sampling import seed_torch

# Learning rates as shares of the discriminator's, which has to keep ahead: of what values a state,
# and of what finds parameters.
_SLOWER, _SLOWEST = 0.3, 0.1
# Share that the average of the policy keeps at each step; adversaries go round in circles, and
# their average stays near the middle.
_AVERAGE = 0.98
# What parameters near the ends of their ranges cost: there, the slope that leads back is lost.
_EXTREME = 0.01
# What a state can be worth, up or down: without a bound, value and policy drive each other away.
_MOST_WORTH = 3.0
# What the learning rate falls to, as a share of its beginning.
_LAST = 0.1
# Longest gradient that is not shortened.
_LONGEST = 5.0


@dataclass(frozen=True)
class PolicyOutcome:
    """How far a run has come.

    Attributes
    ----------
    steps
        Updates done.
    finished
        Whether these are all; otherwise the run was interrupted.
    seconds
        Time passed, that of earlier parts included.
    untouched
        How far the held-out pictures are from the retouched ones as they are, see
        :func:`~napari_invisp.training.retouch.judging.distance`.
    figures, best
        ``step`` and ``distance`` of the last validation, and of the best one.
    """

    steps: int
    finished: bool
    seconds: float
    untouched: float
    figures: dict[str, float]
    best: dict[str, float]


def train_policy(
    run: PolicyRun,
    *,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> PolicyOutcome:
    """Train until the run's last step, from wherever it stands, or until SIGINT or SIGTERM.

    Parameters
    ----------
    run
        From :meth:`PolicyRun.begin` or :meth:`PolicyRun.resume`.
    progress
        Called with the stage's name, steps done, and steps in all.
    notify
        Called with sentences that the user should read.

    Raises
    ------
    DataError, TrainingError
        The run cannot begin or go on.
    OutputError
        The run's folder cannot be written.
    """
    settings = run.settings
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if not run.pictures.exists():
        pictures = gather(
            [Path(each) for each in settings.retouched],
            [Path(each) for each in settings.light],
            settings.seed,
            settings.share,
            progress=progress,
            notify=notify,
        )
        run.write_settings()
        pictures.save(run.pictures)
    else:
        run.write_settings()
    # As they were kept: a run that goes on sees the same.
    return _Trainer(run, Pictures.load(run.pictures), progress).train()


class _Trainer:
    def __init__(self, run: PolicyRun, pictures: Pictures, progress: Progress | None) -> None:
        self._run, self._settings, self._pictures = run, run.settings, pictures
        self._progress = progress or (lambda stage, done, total: None)
        seed_torch(self._settings.seed, 0, 0)
        self._modules: dict[str, nn.Module] = {
            "policy": (policy := Policy(self._settings.actions)),
            "value": (value := make_value()),
            "discriminator": (discriminator := make_discriminator()),
        }
        self._policy, self._value, self._discriminator = policy, value, discriminator
        self._optimizers = {
            "policy": _adam(policy, 0.9, chooser=1.0, adjuster=_SLOWEST),
            "value": _adam(value, 0.9, look=_SLOWER, judge=_SLOWER),
            # It has to forget fast.
            "discriminator": _adam(discriminator, 0.5, look=1.0, judge=1.0),
        }
        self._average = Average(policy)
        self._pool = Pool.fill(pictures.light, self._settings.pool)
        self._retouched = middles(pictures.retouched)
        self._held_out = middles(pictures.held_out)
        self._untouched = distance(encode_gamma(self._held_out), self._retouched)
        self._step, self._before = 0, 0.0
        self._figures: dict[str, float] = {}
        self._best: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        self._counted = 0
        self._restore()

    def train(self) -> PolicyOutcome:
        settings = self._settings
        start = time.perf_counter() - self._before
        self._progress("training", self._step, settings.steps)
        with Interruption() as interruption, Log(self._run.log, self._step) as log:
            for step in range(self._step + 1, settings.steps + 1):
                self._add(self._update(step))
                self._step = step
                last = step == settings.steps
                validating = last or step % settings.validate_every == 0
                logging = validating or step % settings.log_every == 0
                if validating:
                    self._validate()
                if logging:
                    self._write(log, time.perf_counter() - start, validating)
                if last or interruption.asked or step % settings.save_every == 0:
                    self._save(time.perf_counter() - start)
                self._progress("training", step, settings.steps)
                if interruption.asked:
                    break
        return PolicyOutcome(
            steps=self._step,
            finished=self._step >= settings.steps,
            seconds=time.perf_counter() - start,
            untouched=self._untouched,
            figures=self._figures,
            best=self._best,
        )

    # -- a step -------------------------------------------------------------------------------

    def _update(self, step: int) -> dict[str, float]:
        settings = self._settings
        seed_torch(settings.seed, step, 0)
        left = 1 - (step - 1) / settings.steps
        rate = settings.learning_rate * (_LAST + (1 - _LAST) * left)
        rows, state = self._pool.draw(settings.batch)

        logits, free = self._policy(state)
        chances = Categorical(logits=logits)
        choice: Tensor = chances.sample()  # type: ignore[no-untyped-call]
        after = state.after(choice, bounded(free))
        over = after.step >= settings.actions
        gain = (self._score(after.light) - self._score(state.light).detach()).squeeze(1)
        repeated = state.used.gather(1, choice[:, None]).squeeze(1)
        reward = gain - settings.penalty * repeated
        quality = reward + settings.discount * torch.where(over, 0.0, self._worth(after))
        advantage = (quality - self._worth(state)).detach()
        advantage = advantage / advantage.std().clamp(min=0.1)
        entropy = chances.entropy().mean()  # type: ignore[no-untyped-call]
        self._descend(
            "policy",
            -quality.mean()
            - (advantage * logits.log_softmax(1).gather(1, choice[:, None]).squeeze(1)).mean()
            - settings.entropy * left * entropy
            + _EXTREME * free.square().mean(),
            rate,
        )
        self._average.update(min(_AVERAGE, step / (step + 10)))
        aim = quality.detach().clamp(-_MOST_WORTH, _MOST_WORTH)
        surprise = (self._worth(state) - aim).square().mean()
        self._descend("value", surprise, rate)
        self._pool.put_back(rows, after, over, self._pictures.light)
        # Not only finished ones: these come too late to tell the policy that it goes too far.
        made = torch.cat((after.light.detach(), self._pool.finished))
        made = clipped(encode_gamma(made))
        apart = torch.zeros(())
        for _ in range(settings.judgements):
            real = windows(self._pictures.retouched, settings.batch)
            fake = made[torch.randperm(len(made))[: settings.batch]]
            apart = discriminator_cost(self._discriminator, real, fake)
            self._descend("discriminator", apart, rate)
        values = {
            "reward": reward.mean(),
            "surprise": surprise,
            "discriminator": apart,
            "entropy": entropy,
            "repeated": repeated.mean(),
        }
        return {name: float(each.detach()) for name, each in values.items()}

    def _score(self, light: Tensor) -> Tensor:
        score: Tensor = self._discriminator(clipped(encode_gamma(light)))
        return score

    def _worth(self, state: State) -> Tensor:
        known = situation(state, self._settings.actions)
        worth: Tensor = self._value(clipped(encode_gamma(state.light)), known)
        return worth.squeeze(1)

    def _descend(self, name: str, cost: Tensor, rate: float) -> None:
        optimizer = self._optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = rate * group["pace"]
        optimizer.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._modules[name].parameters(), _LONGEST)
        optimizer.step()

    def _add(self, values: dict[str, float]) -> None:
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in values.items()}
        self._counted += 1

    # -- what it writes -----------------------------------------------------------------------

    def _write(self, log: Log, seconds: float, validated: bool) -> None:
        means = {name: each / self._counted for name, each in self._sums.items()}
        self._sums, self._counted = {}, 0
        if not all(map(math.isfinite, means.values())):
            raise TrainingError(
                f"training fell apart at step {self._step}: the loss is no longer a number; "
                "begin again with a lower learning rate"
            )
        shown = self._figures["distance"] if validated else None
        log.write(self._step, {"seconds": round(seconds, 3), **means, "distance": shown})

    def _validate(self) -> None:
        result = encode_gamma(self._average.model.finished(self._held_out))
        self._figures = {"step": self._step, "distance": distance(result, self._retouched)}
        better = not self._best or self._figures["distance"] < self._best["distance"]
        if better:
            self._best = self._figures
        self._save_policy()
        if better:
            self._run.keep_best()

    def _save_policy(self) -> None:
        facts = {"steps": self._step, "untouched": self._untouched, "validation": self._figures}
        self._run.save_policy(self._average.model, facts)

    def _save(self, seconds: float) -> None:
        self._save_policy()
        state: dict[str, Any] = {
            "step": self._step,
            "seconds": seconds,
            "modules": {name: each.state_dict() for name, each in self._modules.items()},
            "average": self._average.model.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self._optimizers.items()},
            "pool": vars(self._pool),
            "figures": self._figures,
            "best": self._best,
            "sums": self._sums,
            "counted": self._counted,
        }
        self._run.write_state(state)

    def _restore(self) -> None:
        state = self._run.read_state()
        if state is None:
            return
        try:
            for name, module in self._modules.items():
                module.load_state_dict(state["modules"][name])
                self._optimizers[name].load_state_dict(state["optimizers"][name])
            self._average.model.load_state_dict(state["average"])
            self._pool = Pool(**state["pool"])
            self._step, self._before = state["step"], state["seconds"]
            self._figures, self._best = state["figures"], state["best"]
            self._sums, self._counted = state["sums"], state["counted"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingError(
                f"{self._run.state} does not fit what a policy is in this version"
            ) from error


def _adam(module: nn.Module, momentum: float, **paces: float) -> torch.optim.Adam:
    """Make an optimizer of some parts of a module, each with its share of the learning rate."""
    groups = [
        {"params": list(module.get_submodule(part).parameters()), "pace": pace}
        for part, pace in paces.items()
    ]
    return torch.optim.Adam(groups, betas=(momentum, 0.99))
