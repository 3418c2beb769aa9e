"""What is said of installed packages."""

import importlib.metadata

import pytest
from packaging.requirements import Requirement

from sign_keras.doctor import packages
from sign_keras.doctor.packages import compared_with_tested, opencv, read_pins, required


def levels(findings):
    return [finding.level for finding in findings]


def test_this_environment_is_well():
    findings = packages.look_at_packages()
    assert "problem" not in levels(findings), [finding.text() for finding in findings]


def test_what_is_missing_or_out_of_range_is_named():
    asked = [Requirement(text) for text in ("numpy>=1.26,<2", "av>=15", "keras>=3", "pyarrow; extra == 'gislr'")]
    (missing, other) = required(asked, {"numpy": "2.1.0", "keras": "3.15.1"})
    assert (missing.level, missing.what) == ("problem", "not installed: av")
    assert other.what == "of a version that does not work: numpy 2.1.0 (needs <2,>=1.26)"
    assert "constraints.txt" in other.fix
    (well,) = required(asked, {"numpy": "1.26.4", "av": "18.1.0", "keras": "3.15.1"})
    assert (well.level, well.what) == ("ok", "3 packages that it needs")


def test_versions_are_compared_with_those_tested(tmp_path):
    file = tmp_path / "constraints.txt"
    file.write_text("# made with\nabsl-py==2.5.1\nPyYAML==6.0.2  # why\nnot_here==1\n")
    pins = read_pins(file)
    assert pins == {"absl-py": "2.5.1", "pyyaml": "6.0.2", "not-here": "1"}
    (note,) = compared_with_tested(pins, {"absl-py": "1.4.0", "pyyaml": "6.0.2"})
    assert note.level == "note"
    assert "1 of 2 packages" in note.what
    assert "absl-py 1.4.0 (tested: 2.5.1)" in note.what
    assert levels(compared_with_tested(pins, {"absl-py": "2.5.1"})) == ["ok"]
    assert compared_with_tested(read_pins(tmp_path / "none"), {"absl-py": "2.5.1"}) == []


def test_the_project_s_own_pins_are_read():
    pins = read_pins(packages.CONSTRAINTS)
    assert pins["tensorflow"] == importlib.metadata.version("tensorflow")


@pytest.mark.parametrize(
    ("wheels", "level"),
    [
        (["opencv-contrib-python"], "ok"),
        ([], "problem"),
        (["opencv-python", "opencv-contrib-python", "opencv-python"], "problem"),
    ],
)
def test_one_opencv(wheels, level):
    (finding,) = opencv(wheels)
    assert finding.level == level
    if len(wheels) > 1:
        assert finding.what.startswith("2 wheels of OpenCV")
        assert "pip uninstall --yes opencv-contrib-python opencv-python" in finding.fix
