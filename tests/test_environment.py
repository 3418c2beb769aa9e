"""Whether this environment is the one that ``constraints.txt`` describes, and could be made with pip."""

import platform
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.conftest import REPOSITORY


def pins() -> list[Requirement]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def installed() -> list[tuple[Requirement, Distribution]]:
    """The pins of packages that are here: extras and other systems' packages need not be."""
    found = []
    for pin in pins():
        try:
            found.append((pin, distribution(pin.name)))
        except PackageNotFoundError:
            continue
    return found


def test_every_line_pins_another_package():
    assert [str(pin) for pin in pins() if [part.operator for part in pin.specifier] != ["=="]] == []
    assert len({pin.name for pin in pins()}) == len(pins())


def test_installed_versions_are_the_pinned_ones():
    assert len(installed()) > 50
    wrong = [
        f"{pin}: {here.version} is installed" for pin, here in installed() if here.version not in pin.specifier
    ]
    assert wrong == []


def test_pinned_versions_are_for_this_python():
    """Pip refuses a package that states another Python; uv heeds the lower bound alone and installs it."""
    stated = {str(pin): here.metadata.get("Requires-Python", "") for pin, here in installed()}
    version = platform.python_version()
    assert {pin: python for pin, python in stated.items() if version not in SpecifierSet(python)} == {}
