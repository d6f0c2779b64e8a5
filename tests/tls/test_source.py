"""From which address a TLS proxy connects to recorders."""

import pytest

from tests.tls.site import Site, call, way

pytestmark = pytest.mark.daemon


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
def test_connection_leaves_from_the_address_of_the_proxy(bare_site: Site, host: str) -> None:
    bare_site.start(host=host)
    srs = bare_site.srs()
    call(bare_site.src, srs, way(bare_site.probe(srs)))
    assert [peer[0] for peer in srs.tls.peers] == [host]
