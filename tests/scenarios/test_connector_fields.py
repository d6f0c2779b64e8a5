"""What the fields of a connector put into an INVITE, as it is on the wire."""

from collections.abc import Iterator
from random import Random

import pytest

from siprec.model import StreamState
from tests.scenarios.mutant_srs import MutantSrs
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.secure_stage import ADVERTISED, SecureStage
from tests.scenarios.sip_text import Message
from tests.scenarios.stage import dial

pytestmark = pytest.mark.daemon

PARAMETER = '<Parameter name="OrderNumber" value="A-1"/>'


class Witness(MutantSrs):
    """Answers soundly, and keeps the INVITEs as they came."""

    def __init__(self) -> None:
        super().__init__(0)
        self.invites: list[Message] = []

    def _written(self, invite: Message, rng: Random, good: str) -> tuple[str, bytes]:
        self.invites.append(invite)
        return "application/sdp", good.encode()


@pytest.fixture
def witness() -> Iterator[Witness]:
    with Witness() as witness:
        yield witness


def invite_of(stage: SecureStage, witness: Witness, *options: str, uri: str = "") -> Message:
    """Record a call by a connector with these options; give its INVITE."""
    start = stage.connect(uri or witness.uri, options=["--options-s", "0", *options])
    caller, callee = stage.pair()
    caller.invite(
        stage.number(start.replace("/></Start>", f">{PARAMETER}</Siprec></Start>"), dial(callee))
    )
    answer(caller, callee)
    stage.wait_streams(caller, StreamState.RECORDING, 1)
    hang_up(caller, callee)
    stage.wait_call_over(caller)
    (invite,) = witness.invites
    return invite


def test_static_headers_and_parameters_stand_in_the_invite(
    secure_stage: SecureStage, witness: Witness
) -> None:
    fixed = ("--header", "X-Site=north; 1", "--header", "X-Tenant=42")
    prefixed = ("--header-prefix", "X-Call-", "--parameters", "both")
    invite = invite_of(secure_stage, witness, *fixed, *prefixed)
    assert (invite.one("X-Site"), invite.one("X-Tenant")) == ("north; 1", "42")
    assert invite.one("X-Call-OrderNumber") == "A-1"
    assert invite.all("OrderNumber") == []
    assert "OrderNumber" in invite.body


@pytest.mark.parametrize(
    ("options", "in_headers", "in_metadata"),
    [
        (("--parameters", "headers"), True, False),
        (("--parameters", "metadata"), False, True),
        ((), True, True),
    ],
)
def test_parameters_stand_where_the_connector_wants_them(
    secure_stage: SecureStage,
    witness: Witness,
    options: tuple[str, ...],
    in_headers: bool,
    in_metadata: bool,
) -> None:
    invite = invite_of(secure_stage, witness, *options)
    assert (invite.all("OrderNumber") == ["A-1"]) is in_headers
    assert ("OrderNumber" in invite.body) is in_metadata


@pytest.mark.parametrize("media_type", ["application/rs-metadata+xml", "application/rs-metadata"])
def test_metadata_has_the_media_type_of_the_connector(
    secure_stage: SecureStage, witness: Witness, media_type: str
) -> None:
    invite = invite_of(secure_stage, witness, "--metadata-type", media_type)
    types = [line for line in invite.body.splitlines() if line.startswith("Content-Type:")]
    assert types == ["Content-Type: application/sdp", f"Content-Type: {media_type}"]


def test_edge_behind_nat_shows_its_advertised_addresses(
    secure_stage: SecureStage, witness: Witness
) -> None:
    invite = invite_of(secure_stage, witness, uri=f"{witness.uri};edge=nat")
    signalling, media = ADVERTISED
    assert f"@{signalling}:" in invite.one("Contact")
    assert f" {signalling}:" in invite.all("Via")[0]
    assert f"c=IN IP4 {media}" in invite.body
    assert "127.0.0.4" not in str(invite)
    assert poll(lambda: witness.hung_up) == [invite.one("Call-ID")]
