"""The error for bytes that are not what was once written."""

from pathlib import Path

from lilliput.config.errors import Exit, LilliputError


class Damaged(LilliputError):
    """A file or checkpoint that must not be used: damaged, incomplete, or not ours."""

    def __init__(self, path: Path, reason: str, action: str = "restore it from a copy, or use another checkpoint"):
        super().__init__(f"{path}: {reason}", action, Exit.CONTENT)
        self.path, self.reason = path, reason
