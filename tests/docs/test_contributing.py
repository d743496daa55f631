import re
import sys
import types
from pathlib import Path

import pytest
from docs.generate import ROOT

from lilliput import cli

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_worked_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    file, line = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    command = re.findall(r"```sh\nlilliput (.*?)\n```", PAGE)[-1].split()
    module = types.ModuleType("lilliput.cli.count")
    exec(compile(file, "count.py", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "lilliput.cli.count", module)
    monkeypatch.setattr(cli, "COMMANDS", dict(cli.COMMANDS))
    exec(line, {"COMMANDS": cli.COMMANDS})
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("seed: 1\nstage: pretrain\n", encoding="utf-8")

    assert cli.main(command) == 0
    assert capsys.readouterr().out == "2 keys\n"
    assert cli.main(["count", "none.yaml"]) == 66
    assert cli.main(["count", "--help"]) == 0
