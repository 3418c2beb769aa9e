import pytest

from tfrecords_tools.label_map import LabelMap, LabelMapError


def test_ids_are_zero_based_and_sorted():
    label_map = LabelMap.from_unsorted(["yes", "hello", "yes", "ÄH", "Hello"])
    assert list(label_map) == ["Hello", "hello", "yes", "ÄH"]
    assert label_map.id("hello") == 1
    assert len(label_map) == 4
    assert "no" not in label_map


def test_round_trip(tmp_path):
    label_map = LabelMap(['a "quoted" gloss', "a/b", "čaj"])
    path = tmp_path / "label_map.json"
    path.write_text(label_map.to_json(), encoding="utf-8")
    assert LabelMap.load(path) == label_map


def test_unknown_gloss_names_the_nearest():
    with pytest.raises(LabelMapError, match="'helo' is not in the label map of 2 glosses; did you mean 'hello'"):
        LabelMap(["hello", "thanks"]).id("helo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no label map"),
        ("[1, 2]", "is no label map"),
        ("{}", "is no label map"),
        ('{"a": "hello"}', "is no label map"),
        ('{"0": null}', "is no label map"),
        ('{"0": ""}', "is no label map"),
        ('{"0": 3}', "is no label map"),
        ('{"1": "hello"}', "must run from 0 to 0"),
        ('{"0": "a", "2": "b"}', "without a gap"),
        ('{"0": "a", "00": "b"}', "each once"),
        ('{"0": "a", "1": "a"}', "'a' stands for more than one id"),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    path = tmp_path / "label_map.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelMapError, match=message):
        LabelMap.load(path)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(LabelMapError, match="no such label map"):
        LabelMap.load(tmp_path / "nowhere.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelMapError, match="not UTF-8"):
        LabelMap.load(tmp_path / "binary.json")
