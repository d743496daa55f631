import json

import pytest

from lilliput.cli.terminal import CONTROL, columns, printable, say_json, say_json_line, say_table


def test_control_bytes_of_a_text_are_spelled_out_and_line_ends_stay():
    assert printable("a\x1b[31mb\r\x00\x9b\u202ec\n\td\u00e9") == "a\\x1b[31mb\\x0d\\x00\\x9b\\x202ec\n\td\u00e9"


def test_a_table_aligns_words_to_the_left_and_numbers_to_the_right(capsys: pytest.CaptureFixture[str]):
    say_table(["name", "size"], [["verdict", 20479], ["tiny", None]])
    assert capsys.readouterr().out == "name       size\nverdict  20,479\ntiny\n"


def test_wide_and_combining_characters_keep_the_columns_of_a_table_straight(capsys: pytest.CaptureFixture[str]):
    say_table(["name", "size"], [["\u65e5\u672c\u8a9e", 1], ["e\u0301t\u00e9", 22], ["abc", 333]])
    lines = capsys.readouterr().out.splitlines()
    assert {columns(line) for line in lines} == {12}
    assert lines[1] == "\u65e5\u672c\u8a9e     1"


def test_json_is_the_same_value_without_a_control_character(capsys: pytest.CaptureFixture[str]):
    value = {"text": "".join(map(chr, range(0x3000))) + "\ufffa\U000e0041\U0001f600 \u65e5"}
    say_json(value)
    document = capsys.readouterr().out
    say_json_line(value)
    line = capsys.readouterr().out
    assert json.loads(document) == json.loads(line) == value
    assert not CONTROL.search(document) and not CONTROL.search(line)
    assert line.count("\n") == 1
