"""Fixtures: a TLS proxy with the recording client behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tls.site import Site


@pytest.fixture
def bare_site(tmp_path: Path) -> Iterator[Site]:
    """Prepare a site whose TLS proxy the test starts."""
    with Site(tmp_path) as site:
        yield site


@pytest.fixture
def site(bare_site: Site) -> Site:
    """Run a TLS proxy for recorders only."""
    bare_site.start()
    return bare_site
