"""Home: one place, moved by the environment, not made by asking."""

from lilliput.runs import home


def test_every_folder_lies_below_the_home_and_asking_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    places = [home.corpora_file(), home.downloads(), home.shards(), home.tokenizers(), home.calibration()]
    assert {place.parent for place in places} == {tmp_path / "home"} and len(set(places)) == 5
    assert not home.home().exists()


def test_without_the_environment_it_is_the_users_own(monkeypatch):
    monkeypatch.delenv("LILLIPUT_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(home.home()) == "/somewhere/.lilliput"
