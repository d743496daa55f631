import pytest

from lilliput.cli.terminal import printable, say_table


def test_control_bytes_of_a_text_are_spelled_out_and_line_ends_stay():
    assert printable("a\x1b[31mb\r\x00\x9b\u202ec\n\td\u00e9") == "a\\x1b[31mb\\x0d\\x00\\x9b\\x202ec\n\td\u00e9"


def test_a_table_aligns_words_to_the_left_and_numbers_to_the_right(capsys: pytest.CaptureFixture[str]):
    say_table(["name", "size"], [["verdict", 20479], ["tiny", None]])
    assert capsys.readouterr().out == "name       size\nverdict  20,479\ntiny\n"
