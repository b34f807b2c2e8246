"""The one family of errors that says what is wrong with which file and what to do."""

from __future__ import annotations


class InvispError(Exception):
    """Bad input, in one clear sentence for the user.

    The command line prints the message on stderr and exits with status 2; the viewer shows it as a
    notification. Anything that is not an ``InvispError`` is a defect in the program.
    """


class RawFileError(InvispError):
    """A file cannot be used as a Bayer RAW."""


class CapsuleError(InvispError):
    """A JPEG carries no usable capsule."""


class CheckpointError(InvispError):
    """Weights are missing, or do not fit the model that they are meant for."""


class SettingsError(InvispError):
    """A parameter is out of its range."""


class OutputError(InvispError):
    """A result cannot be written where it was asked for."""


class ArchiveError(InvispError):
    """A RAW did not come back from the JPEG that was to hold it bit by bit."""


class Cancelled(Exception):  # noqa: N818 - an event, not an error
    """The caller asked to stop; nothing was written."""


class DataError(InvispError):
    """Training data are missing, damaged, or cannot be made."""


class TrainingError(InvispError):
    """A training run cannot be begun, or cannot go on."""
