"""Check what a wheel says of itself on the page of a package index.

    python .ci/check_distribution.py dist/skgd-*.whl
"""

import re
import sys
import zipfile
from email import message_from_bytes


def main(path):
    """Raise unless a wheel has types, metadata, and a description whose links are absolute."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = message_from_bytes(wheel.read(metadata))
    assert "skgd/py.typed" in names and any(name.endswith(".pyi") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "examples/"))]
    for field in ("Author", "License-Expression", "Keywords", "Classifier", "Project-URL"):
        assert fields[field], f"{field} is missing"
    links = re.findall(r"\]\(([^)#]+)\)", fields.get_payload())
    assert len(links) >= 10
    assert all(link.startswith("https://") for link in links), links


if __name__ == "__main__":
    main(sys.argv[1])
