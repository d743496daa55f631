import json

import pytest

from lilliput.cli import main


def test_the_machine_is_told_to_a_reader_and_to_a_program(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cores"] >= 1 and found["memory"]["total"] > found["memory"]["free"] > 0
    assert main(["doctor"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(found)
