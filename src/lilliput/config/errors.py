"""The one error class: a cause, an action, and the exit code that a command ends with."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command; `docs/exit-codes.md` is generated from this class."""

    BUG = 1
    USAGE = 2
    DISK_FULL = 28
    RECIPE = 64
    CONTENT = 65
    MISSING = 66
    UNAVAILABLE = 69
    DIVERGED = 70
    MEMORY = 71
    EXISTS = 73
    IO = 74
    LOCKED = 75
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    Exit.BUG: "a fault in Lilliput itself",
    Exit.USAGE: "the command line is wrong",
    Exit.DISK_FULL: "the disk or the quota is full; everything committed is intact",
    Exit.RECIPE: "the recipe, or a value in it, cannot be run",
    Exit.CONTENT: "content is malformed, or differs from what the run was started with",
    Exit.MISSING: "an input is missing, or no intact checkpoint is left",
    Exit.UNAVAILABLE: "the network, an optional package or a newer format is needed",
    Exit.DIVERGED: "training diverged: the loss or a gradient is not finite",
    Exit.MEMORY: "not enough memory",
    Exit.EXISTS: "the name is taken: nothing is overwritten",
    Exit.IO: "reading or writing failed",
    Exit.LOCKED: "another process is writing to this run",
    Exit.INTERRUPTED: "stopped by SIGINT after a checkpoint was committed",
    Exit.TERMINATED: "stopped by SIGTERM after a checkpoint was committed",
}


class LilliputError(Exception):
    """A failure that a person can act on: one line of cause, one line of action, an exit code."""

    def __init__(self, cause: str, action: str, code: Exit) -> None:
        super().__init__(cause)
        self.cause, self.action, self.code = cause, action, code

    def __str__(self) -> str:
        return f"{self.cause}\nhint: {self.action}"
