"""A recorder that is there and takes every session, and whose answers are damaged."""

import base64
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from types import TracebackType
from typing import Self

from siprec.multipart import Part, compose, mixed_type, sdp_of
from siprec.sdp import Media, Profile, parse
from tests.scenarios.sip_text import Message, copied
from tests.scenarios.sip_text import parse as parse_message
from tests.scenarios.wire import TcpWire
from tests.siprec.mutations import mutate_multipart, mutate_sdp

# Who is asked to send media to a damaged address must not meet another daemon of a test there.
MEDIA_HOST = "127.88.99.77"
CASE_HEADER = "X-Case"

_WAIT_S = 0.02
_KEY_BYTES = {"AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44}
_FINGERPRINT = ":".join(["5A"] * 32)
_KEY = re.compile(r"inline:([A-Za-z0-9+/]{38,})")
_BOUNDARY = "between-parts"
# Half of what a phone of the tests says in a packet.
_SPEECH = tuple(bytes([voice]) * 80 for voice in (0xA, 0xB))


@dataclass(frozen=True, slots=True)
class Answered:
    """An INVITE's offer, and what it was answered with."""

    offer: str
    content_type: str
    body: bytes

    @property
    def sdp(self) -> str | None:
        """Give the SDP of the answer, if it has any."""
        return sdp_of(self.content_type, self.body)

    @property
    def keys(self) -> list[str]:
        """List the SRTP keys of both sides."""
        return _KEY.findall(self.offer + self.body.decode(errors="replace"))


class MutantSrs:
    """At `uri` (TCP), in a thread. Use it with `with`.

    The number in the header CASE_HEADER of an INVITE decides how its answer is damaged: what
    failed once can be looked at again. `packets` counts the media that comes, by profile;
    `clear_packets` is the speech among it that had to be encrypted.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._wire = TcpWire("127.0.0.1")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mutant SRS")
        self._tags = count(1)
        self._sinks = {profile: _sink() for profile in Profile}
        self.uri = f"sip:mutant@127.0.0.1:{self._wire.address[1]};transport=tcp"
        self.answers: dict[str, Answered] = {}
        self.acknowledged: list[str] = []
        self.hung_up: list[str] = []
        self.strange: list[str] = []
        self.packets = dict.fromkeys(Profile, 0)
        self.clear_packets = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._wire.close()
        for sink in self._sinks.values():
            sink.close()

    def _run(self) -> None:
        while not self._over.is_set():
            received = self._wire.receive(_WAIT_S)
            if received is not None:
                self._take(parse_message(*received))
            for profile, sink in self._sinks.items():
                self._listen(profile, sink)

    def _take(self, message: Message) -> None:
        call_id = message.one("Call-ID")
        match message.method:
            case "INVITE":
                self._answer(message)
            case "ACK":
                self.acknowledged.append(call_id)
            case "BYE":
                self.hung_up.append(call_id)
                self._reply(message)
            case "OPTIONS":
                self._reply(message)
            case _:
                self.strange.append(str(message))

    def _answer(self, invite: Message) -> None:
        body = invite.body.encode(errors="surrogateescape")
        offer = sdp_of(invite.one("Content-Type"), body) or ""
        rng = Random(f"{self._seed} {invite.one(CASE_HEADER)}")
        answered = Answered(offer, *self._written(invite, rng, self._good(offer, rng)))
        self.answers[invite.one("Call-ID")] = answered
        self._reply(invite, answered)

    def _written(self, invite: Message, rng: Random, good: str) -> tuple[str, bytes]:
        """Give type and body of the answer."""
        return damaged(rng, good)

    def _reply(self, request: Message, answered: Answered | None = None) -> None:
        headers = copied(request, ("Via", "Record-Route", "From", "Call-ID", "CSeq"))
        tag = "" if request.to_tag else f";tag=mutant{next(self._tags)}"
        headers += [("To", request.one("To") + tag), ("Contact", f"<{self.uri}>;+sip.srs")]
        text = ""
        if answered is not None:
            headers.append(("Content-Type", answered.content_type))
            text = answered.body.decode(errors="surrogateescape")
        reply = str(Message("SIP/2.0 200 OK", tuple(headers), text))
        self._wire.send(reply.encode(errors="surrogateescape"), request.source)

    def _good(self, offer: str, rng: Random) -> str:
        lines = ["v=0", f"o=mutant 1 1 IN IP4 {MEDIA_HOST}", "s=-"]
        lines += [f"c=IN IP4 {MEDIA_HOST}", "t=0 0"]
        for media in parse(offer).media:
            port = self._sinks[Profile(media.proto)].getsockname()[1]
            lines.append(f"m=audio {port} {media.proto} {' '.join(media.formats)}")
            lines += [f"a=rtpmap:{number} {name}" for number, name in media.rtpmaps.items()]
            lines += [*_protection(media, rng), "a=recvonly"]
        return "".join(f"{line}\r\n" for line in lines)

    def _listen(self, profile: Profile, sink: socket.socket) -> None:
        for packet in _waiting(sink):
            self.packets[profile] += 1
            if not profile.is_plain:
                self.clear_packets += any(speech in packet for speech in _SPEECH)


def damaged(rng: Random, sdp: str) -> tuple[str, bytes]:
    """Damage an answer, or a multipart body around it; give its type and its bytes."""
    if rng.random() < 0.7:
        return "application/sdp", mutate_sdp(rng, sdp).encode(errors="surrogateescape")
    parts = (
        Part(content_type="application/sdp", body=sdp.encode()),
        Part(content_type="application/rs-metadata+xml", disposition="x", body=b"<recording/>"),
    )
    return mixed_type(_BOUNDARY), mutate_multipart(rng, compose(parts, _BOUNDARY))


def _protection(media: Media, rng: Random) -> list[str]:
    if Profile(media.proto).has_dtls:
        return ["a=setup:active", f"a=fingerprint:sha-256 {_FINGERPRINT}"]
    lines = []
    for value in media.values("crypto")[:1]:
        tag, suite, _ = value.split(" ", 2)
        key = base64.b64encode(rng.randbytes(_KEY_BYTES.get(suite, 30))).decode()
        lines.append(f"a=crypto:{tag} {suite} inline:{key}")
    return lines


def _sink() -> socket.socket:
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setblocking(False)
    sink.bind((MEDIA_HOST, 0))
    return sink


def _waiting(sink: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield sink.recv(2048)
        except BlockingIOError:
            return
