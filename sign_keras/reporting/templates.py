"""Pages out of templates: one self-contained file each, in which everything printed is escaped."""

from pathlib import Path
from typing import Any

import jinja2

from sign_keras.reporting.findings import percent


def render(template: str, **values: Any) -> str:
    """A template of this folder with its values; one that is missing raises ``jinja2.UndefinedError``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # glosses, signers and media ids are other people's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent}
    return environment.get_template(template).render(**values)
