import json
import os
import subprocess
import sys
import time

import pytest

from lilliput.cli import COMMANDS, main

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=ENVIRONMENT, check=False)


def test_help_loads_neither_torch_nor_the_schema():
    script = "import sys, json; from lilliput.cli import main; main(['--help']); print(json.dumps(list(sys.modules)))"
    loaded = json.loads(run("-c", script).stdout.splitlines()[-1])
    assert "lilliput.cli" in loaded
    assert not {"torch", "numpy", "pydantic", "omegaconf"} & set(loaded)


def test_help_answers_in_under_three_tenths_of_a_second():
    def seconds() -> float:
        start = time.perf_counter()
        assert run("-m", "lilliput", "--help").returncode == 0
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.3


def test_help_lists_every_command_in_order(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [word for word in lines if not word.startswith("-")] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]):
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example: lilliput {name}" in text
    if "COMMAND [ARGS]" in text:
        names = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line.startswith("  ")]
        for below in names:
            assert main([name, below, "--help"]) == 0
            assert f"Example: lilliput {name} {below}" in capsys.readouterr().out


def test_a_command_imports_no_torch_before_it_runs():
    script = "import sys, importlib; from lilliput.cli import COMMANDS\n"
    script += "for module, _ in COMMANDS.values(): importlib.import_module(module.partition(':')[0])\n"
    script += "print('torch' in sys.modules)"
    assert run("-c", script).stdout.strip() == "False"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]):
    from lilliput import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lilliput {__version__}\n"
