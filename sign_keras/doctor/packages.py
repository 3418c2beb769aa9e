"""Installed packages: whether they are there, of versions that go together, and in nobody's way."""

import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sign_keras.doctor.findings import Finding

PACKAGE = "sign_keras"
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
MOST_LISTED = 5


def look_at_packages() -> list[Finding]:
    """Of this Python's environment."""
    try:
        requirements = [Requirement(text) for text in importlib.metadata.requires(PACKAGE) or ()]
    except importlib.metadata.PackageNotFoundError:
        return [
            python_version(),
            Finding(
                "problem", f"{PACKAGE} is not installed in {sys.prefix}", "pip install --editable . in its folder"
            ),
        ]
    installed = installed_versions()
    return [
        python_version(),
        *required(requirements, installed),
        *compared_with_tested(read_pins(CONSTRAINTS), installed),
        extras(requirements, installed),
        *opencv(importlib.metadata.packages_distributions().get("cv2", [])),
    ]


def installed_versions() -> dict[str, str]:
    """Version by canonical name of every distribution."""
    return {
        canonicalize_name(found.name): found.version for found in importlib.metadata.distributions() if found.name
    }


def read_pins(path: Path) -> dict[str, str]:
    """Version by canonical name in a constraints file; none where it is not there (installed from a wheel)."""
    if not path.is_file():
        return {}
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {canonicalize_name(name.strip()): version.strip() for name, _, version in pairs}


def python_version() -> Finding:
    """Whether this Python is one that all packages have wheels for."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Finding("ok", f"Python {version}")
    return Finding(
        "problem",
        f"Python {version}: TensorFlow and MediaPipe go with 3.11 and 3.12",
        "make an environment with one of these: make PYTHON=python3.12 environment",
    )


def required(requirements: Iterable[Requirement], installed: dict[str, str]) -> list[Finding]:
    """Whether what the package needs, extras left out, is installed in the range that it asks for."""
    missing, others, count = [], [], 0
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        version = installed.get(canonicalize_name(requirement.name))
        if version is None:
            missing.append(requirement.name)
        elif not requirement.specifier.contains(version, prereleases=True):
            others.append(f"{requirement.name} {version} (needs {requirement.specifier})")
    fix = "pip install --constraint constraints.txt --editable . in the project's folder"
    findings = []
    if missing:
        findings.append(Finding("problem", f"not installed: {', '.join(missing)}", fix))
    if others:
        findings.append(Finding("problem", f"of a version that does not work: {', '.join(others)}", fix))
    return findings or [Finding("ok", f"{count} packages that it needs")]


def compared_with_tested(pins: dict[str, str], installed: dict[str, str]) -> list[Finding]:
    """How far the installed versions are those that are tested together."""
    compared = [name for name in pins if name in installed]
    if not compared:
        return []
    others = [
        f"{name} {installed[name]} (tested: {pins[name]})" for name in compared if installed[name] != pins[name]
    ]
    if not others:
        return [Finding("ok", f"{len(compared)} packages, all of the versions that are tested together")]
    more = f" and {len(others) - MOST_LISTED} more" if len(others) > MOST_LISTED else ""
    return [
        Finding(
            "note",
            f"{len(others)} of {len(compared)} packages are of other versions than those tested: "
            + ", ".join(others[:MOST_LISTED])
            + more,
            "if something fails, make environment in a fresh folder has the tested ones",
        )
    ]


def extras(requirements: Iterable[Requirement], installed: dict[str, str]) -> Finding:
    """Which optional parts are there."""
    parts: dict[str, bool] = {}
    requirements = list(requirements)
    names = importlib.metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    for name in sorted(set(names) - {"dev"}):
        asked = [item for item in requirements if item.marker is not None and item.marker.evaluate({"extra": name})]
        parts[name] = all(canonicalize_name(item.name) in installed for item in asked)
    there, absent = ([name for name, is_there in parts.items() if is_there is wanted] for wanted in (True, False))
    what = f"extras: {', '.join(there) or 'none'}"
    if not absent:
        return Finding("ok", what)
    return Finding("ok", f"{what}; not installed, and needed for their own purposes alone: {', '.join(absent)}")


def opencv(distributions: Iterable[str]) -> list[Finding]:
    """Whether exactly one wheel brings ``cv2``: two overwrite each other, and removing one breaks the other."""
    names = sorted(set(distributions))
    if len(names) == 1:
        return [Finding("ok", f"one OpenCV: {names[0]}")]
    if not names:
        return [Finding("problem", "no OpenCV", "pip install --constraint constraints.txt opencv-contrib-python")]
    return [
        Finding(
            "problem",
            f"{len(names)} wheels of OpenCV in one place, {', '.join(names)}: each overwrote parts of the others",
            f"pip uninstall --yes {' '.join(names)}, then pip install --constraint constraints.txt "
            "opencv-contrib-python",
        )
    ]
