"""The loop: batches in, weights out, and a folder from which the run can go on at any time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_invisp.errors import TrainingError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import load_checkpoint
from napari_invisp.tiling import Progress
from napari_invisp.training.average import Average
from napari_invisp.training.distributed import Team, joined
from napari_invisp.training.interruption import Interruption
from napari_invisp.training.log import Log
from napari_invisp.training.objective import Example, Objective
from napari_invisp.training.objectives import make_objective
from napari_invisp.training.patch import PatchSource, Picture
from napari_invisp.training.prepared import open_set
from napari_invisp.training.run import Run
from napari_invisp.training.sampling import Batches, Mixture, load, seed_torch
from napari_invisp.training.schedule import average_decay, learning_rate
from napari_invisp.training.settings import TrainSettings
from napari_invisp.training.validation import FIGURES, central, choose, validate


@dataclass(frozen=True)
class Outcome:
    """How far a run has come.

    Attributes
    ----------
    run
        Its folder.
    model
        What is trained.
    steps
        Updates done.
    finished
        Whether these are all; otherwise the run was interrupted.
    seconds, cpu_seconds
        Time passed, and processor time of all its processes, those of earlier parts included.
    figures
        Of the last validation, by name; empty if there was none.
    best
        Figures of the weights that are kept as the best.
    leads
        Whether this is the process that writes, of several.
    """

    run: Path
    model: str
    steps: int
    finished: bool
    seconds: float
    cpu_seconds: float
    figures: dict[str, float]
    best: dict[str, float]
    leads: bool


def train(
    run: Run,
    source: PatchSource | None = None,
    *,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> Outcome:
    """Train until the run's last step, from wherever it stands, or until SIGINT or SIGTERM.

    Under torchrun all its processes train together.

    Parameters
    ----------
    run
        From :meth:`Run.begin` or :meth:`Run.resume`.
    source
        Pictures; those that the settings name by default.
    progress
        Called with the stage's name, steps done, and steps in all.
    notify
        Called with sentences that the user should read.

    Raises
    ------
    SettingsError, DataError, CheckpointError, TrainingError
        The run cannot begin or go on.
    OutputError
        The run's folder cannot be written.
    """
    settings = run.settings
    tell = notify or (lambda sentence: None)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    pictures = source or open_data(settings)
    with joined(settings.device, tell) as team:
        seed_torch(settings.seed, 0, 0)
        objective = make_objective(settings, pictures)
        if settings.start:
            start_from(objective.model, settings.start)
        return Trainer(run, objective, pictures, team, progress, tell).train()


def open_data(settings: TrainSettings) -> PatchSource:
    """Open the prepared sets that the settings name.

    Raises
    ------
    DataError
        One of them cannot be used.
    """
    sets = [open_set(Path(folder)) for folder in settings.data]
    shares = settings.shares if len(settings.shares) == len(sets) else ()
    return sets[0] if len(sets) == 1 else Mixture(sets, shares)


def start_from(model: InvertibleISP, checkpoint: str) -> None:
    """Give a model the weights of a checkpoint.

    Raises
    ------
    CheckpointError
        It cannot be read.
    TrainingError
        It belongs to another model.
    """
    given = load_checkpoint(checkpoint, model.profile)
    if given.name != model.name:
        raise TrainingError(f"{checkpoint} holds weights of {given.name}, not of {model.name}")
    model.load_state_dict(given.state_dict())


class Trainer:
    """Trains an objective from where its run stands.

    Parameters
    ----------
    run
        Settings, and where to write.
    objective
        With fresh weights, the same in all processes.
    source
        Pictures.
    team
        The processes that train together.
    progress, notify
        As for :func:`train`.

    Raises
    ------
    TrainingError
        The run's state does not fit the objective.
    """

    def __init__(
        self,
        run: Run,
        objective: Objective,
        source: PatchSource,
        team: Team,
        progress: Progress | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._run, self._settings, self._team = run, run.settings, team
        self._source = source
        self._progress = progress or (lambda stage, done, total: None)
        self._notify = notify or (lambda sentence: None)
        # What makes examples may go to other processes, where no GPU is.
        self._maker = objective if team.device.type == "cpu" else copy.deepcopy(objective)
        self._objective = objective.to(team.device).train()
        self._module = team.wrap(self._objective)
        self._average = Average(self._objective.model)
        self._weights = [each for each in self._objective.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._weights, weight_decay=self._settings.decay, fused=team.device.type != "mps"
        )
        self._step = 0
        self._sums = _Sums()
        self._clock = _Clock()
        self._figures: dict[str, float] = {}
        self._best: dict[str, float] = {}
        self._restore()

    def train(self) -> Outcome:
        """Train until the last step, or until SIGINT or SIGTERM."""
        settings, team = self._settings, self._team
        if team.leads:
            self._run.write_settings()
            self._maker.keep_in(self._run.folder)
        self._clock.start()
        pictures = self._held_out() if team.leads else []
        steps = range(self._step + 1, settings.steps + 1)
        self._progress("training", self._step, settings.steps)
        with Interruption() as interruption, self._log() as log:
            for step, (batch, worker_seconds) in zip(steps, self._batches(steps), strict=True):
                self._clock.spent(worker_seconds)
                self._update(step, batch)
                self._step = step
                last, stop = step == settings.steps, team.any(interruption.asked)
                validating = last or step % settings.validate_every == 0
                logging = validating or step % settings.log_every == 0
                saving = last or stop or step % settings.save_every == 0
                if logging or saving:
                    means = self._means()
                if validating and pictures:
                    self._validate(pictures)
                if logging:
                    self._write(log, means, validated=validating and bool(pictures))
                if saving and team.leads:
                    self._save()
                self._progress("training", step, settings.steps)
                if stop:
                    break
        return Outcome(
            run=self._run.folder,
            model=settings.model,
            steps=self._step,
            finished=self._step >= settings.steps,
            seconds=self._clock.seconds,
            cpu_seconds=self._clock.cpu_seconds,
            figures=self._figures,
            best=self._best,
            leads=team.leads,
        )

    # -- a step -------------------------------------------------------------------------------

    def _update(self, step: int, batch: Example) -> None:
        settings, device = self._settings, self._team.device
        seed_torch(settings.seed, step, self._team.rank)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        batch = {name: each.to(device, non_blocking=True) for name, each in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, settings.precision == "bfloat16"):
            losses: dict[str, Tensor] = self._module(batch)
        self._optimizer.zero_grad()
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(self._weights, settings.clip or math.inf)
        self._optimizer.step()
        self._average.update(average_decay(settings, step))
        self._sums.add({**losses, "gradient": gradient})

    def _means(self) -> dict[str, float]:
        """Means of the losses since the last line of the log, over all processes.

        Raises
        ------
        TrainingError
            One is not finite; what was saved before is good.
        """
        own = torch.tensor([self._clock.own_cpu_seconds], device=self._team.device)
        *values, self._clock.team_cpu_seconds = self._team.sum(
            torch.cat((self._sums.values / (self._sums.count * self._team.size), own))
        ).tolist()
        if not all(map(math.isfinite, values)):
            raise TrainingError(
                f"training fell apart at step {self._step}: the loss is no longer a number; "
                "begin again with a lower learning rate or stronger clipping"
            )
        return dict(zip(self._sums.names, values, strict=True))

    # -- what it writes -----------------------------------------------------------------------

    @contextmanager
    def _log(self) -> Iterator[Log | None]:
        """Open the log, in the process that writes."""
        if not self._team.leads:
            yield None
            return
        board = self._run.folder / "tensorboard" if self._settings.tensorboard else None
        with Log(self._run.log, self._step, board) as log:
            yield log

    def _write(self, log: Log | None, means: dict[str, float], validated: bool) -> None:
        self._sums = _Sums()
        if log is not None:
            values: dict[str, float | None] = {
                "seconds": round(self._clock.seconds, 3),
                "cpu_seconds": round(self._clock.cpu_seconds, 3),
                "learning_rate": learning_rate(self._settings, self._step),
                **means,
                **{name: self._figures[name] if validated else None for name in FIGURES},
            }
            log.write(self._step, values)

    def _validate(self, pictures: Sequence[Picture]) -> None:
        self._save_model()
        figures = validate(self._run.model, pictures, self._team.device.type)
        self._figures = {"step": self._step, **figures}
        self._save_model()
        if not self._best or _score(self._figures) > _score(self._best):
            self._best = self._figures
            self._run.keep_best()

    def _save_model(self) -> None:
        facts = {
            "steps": self._step,
            "seconds": self._clock.seconds,
            "cpu_seconds": self._clock.cpu_seconds,
            "validation": self._figures,
        }
        self._run.save_model(self._average.model, facts)

    def _save(self) -> None:
        self._save_model()
        self._run.write_state(
            {
                "step": self._step,
                "objective": self._objective.state_dict(),
                "average": self._average.model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "sums": asdict(self._sums),
                "seconds": self._clock.seconds,
                "cpu_seconds": self._clock.cpu_seconds,
                "figures": self._figures,
                "best": self._best,
            }
        )

    def _restore(self) -> None:
        state = self._run.read_state()
        if state is None:
            return
        try:
            self._objective.load_state_dict(state["objective"])
            self._average.model.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._sums = _Sums(**state["sums"])
            self._sums.values = self._sums.values.to(self._team.device)
            self._clock = _Clock(state["seconds"], state["cpu_seconds"])
            self._step, self._figures, self._best = (
                state[name] for name in ("step", "figures", "best")
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingError(
                f"{self._run.state} does not fit what {self._settings.model!r} is in this version"
            ) from error

    # -- what it reads ------------------------------------------------------------------------

    def _batches(self, steps: range) -> Iterator[tuple[Example, float]]:
        settings, team = self._settings, self._team
        batches = Batches(
            self._source,
            self._maker,
            seed=settings.seed,
            batch=settings.batch,
            side=settings.patch,
            rank=team.rank,
            size=team.size,
        )
        return load(batches, steps, settings.workers, pin=team.device.type == "cuda")

    def _held_out(self) -> list[Picture]:
        settings = self._settings
        pictures = choose(self._source.held_out(), settings.pictures)
        if settings.pictures and not pictures:
            self._notify("no pictures are held out, so there is nothing to validate by")
        return [central(each, settings.crop) for each in pictures]


@dataclass
class _Sums:
    """Losses added up, on the device, so that it need not be waited for."""

    names: list[str] = field(default_factory=list)
    values: Tensor = field(default_factory=lambda: torch.zeros(0))
    count: int = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        values = torch.stack([each.detach().float() for each in losses.values()])
        self.names = list(losses)
        self.values = self.values + values if self.count else values
        self.count += 1


class _Clock:
    """Time of the run: its earlier parts, and this one from :meth:`start` on."""

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        self._seconds_before, self._cpu_before = seconds, cpu_seconds
        self._start = self._cpu_start = 0.0
        self._workers = 0.0
        #: This part's processor time of all processes, when it was last added up.
        self.team_cpu_seconds = 0.0
        self.start()

    def start(self) -> None:
        self._start, self._cpu_start = time.perf_counter(), time.process_time()

    def spent(self, seconds: float) -> None:
        """Count processor time of a process that makes batches."""
        self._workers += seconds

    @property
    def seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._start

    @property
    def own_cpu_seconds(self) -> float:
        return time.process_time() - self._cpu_start + self._workers

    @property
    def cpu_seconds(self) -> float:
        return self._cpu_before + self.team_cpu_seconds


def _score(figures: dict[str, float]) -> float:
    return sum(figures[name] for name in FIGURES)
