"""The NG commands that we send, and what we insist on in their replies.

rtpengine trusts its client: several well-formed but wrong commands answer `ok` and silence
the call, and some end the daemon. What is built here cannot be one of those:

* A fork has a tag of its own that begins with `FORK_TAG_PREFIX`, so that no command about a
  fork ever names a party of the call.
* One fork tag stands for one fixed set of parties for the whole life of a call. Whoever wants
  other parties takes a new tag; this the caller must keep to.
* A fork is deleted by `from-tag`: with `to-tag` rtpengine would delete the whole call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rtpengine_ng.bencode import Value
from rtpengine_ng.errors import NgProtocolError

Command: TypeAlias = dict[str, Value]
Reply: TypeAlias = dict[str, Value]

FORK_TAG_PREFIX = "fork-"

AVP = "RTP/AVP"
SAVP = "RTP/SAVP"
DTLS = "UDP/TLS/RTP/SAVP"
# The same with early RTCP feedback (RFC 4585, RFC 5124).
AVPF = "RTP/AVPF"
SAVPF = "RTP/SAVPF"
DTLS_F = "UDP/TLS/RTP/SAVPF"

_SUITES = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkOffer:
    """What rtpengine offers to send: one m-line or more of each party, in order of `from_tags`.

    `labels` gives for each `a=label` of `sdp` the tag of the party that is heard there. The
    session lines may be those of a party, and there may be video: write session lines of your
    own, refuse what is not wanted with port 0.
    """

    sdp: str
    from_tags: tuple[str, ...]
    labels: dict[str, str]


def subscribe_request(
    call_id: str,
    from_tags: Sequence[str],
    fork_tag: str,
    interface: str | None = None,
    *,
    profile: str = AVP,
    suites: Sequence[str] = (),
    transcode: Sequence[str] = (),
    keep_digits: bool = False,
) -> Command:
    """Ask for a fork of these parties; read the reply with `parse_fork_offer`.

    `interface` names one of rtpengine's logical interfaces; an unknown name gets the default.
    `profile` is `AVP`, `SAVP`, `DTLS`, or one of them with feedback (`AVPF`, `SAVPF`, `DTLS_F`).
    With `SAVP` the fork has keys for `suites`, and for all others that rtpengine knows, some
    worthless: offer none but `suites`. `transcode` names
    the codecs (`PCMA`, `opus`) that take the place of the call's; a name that rtpengine does not
    know is left out without a word. `keep_digits` leaves telephone-event in.
    No packet flows before `subscribe_answer`.

    Raises:
        ValueError: a tag that would damage the call, a profile or suite that must not be
            used, or transcoding without digits: rtpengine would send them as tones.
    """
    command = _about_fork("subscribe request", call_id, fork_tag)
    _check_parties(from_tags)
    command |= {
        "from-tags": list(from_tags),
        "flags": ["siprec", "strip-extmap"],
        "transport-protocol": profile,
        "ICE": "remove",
        "rtcp-mux": ["demux"],
        "replace": ["origin", "session-connection"],
        **_protection(profile, suites),
        **_codecs(transcode, keep_digits),
    }
    if interface is not None:
        command["interface"] = interface
    return command


def subscribe_answer(call_id: str, fork_tag: str, sdp: str) -> Command:
    """Start, move, pause (port 0) or resume a fork by the recorder's answer.

    The caller has checked the SDP against the offer: as many m-lines, same types and
    profiles, codecs of the offer, `inactive` written as port 0. Send it again after each
    re-offer of the call. `allow-transcoding` does not force transcoding; without it
    rtpengine refuses any answer that leaves out a codec of the party.

    Raises:
        ValueError: not a fork's tag, or an SDP without m-lines.
    """
    if next(_m_lines(sdp), None) is None:
        raise ValueError("the answer has no m-line")
    return {
        **_about_fork("subscribe answer", call_id, fork_tag),
        "flags": ["allow-transcoding"],
        "sdp": sdp,
    }


def unsubscribe(call_id: str, fork_tag: str) -> Command:
    """Stop the packets of a fork. Its ports stay taken until `delete_fork`.

    Raises:
        ValueError: not a fork's tag; with a party's the peer would go deaf.
    """
    return _about_fork("unsubscribe", call_id, fork_tag)


def delete_fork(call_id: str, fork_tag: str) -> Command:
    """Free the ports of a fork, after `unsubscribe`. The call and its other forks go on.

    Raises:
        ValueError: not a fork's tag; a party's would end the call.
    """
    _check_fork_tag(fork_tag)
    return {"command": "delete", "call-id": call_id, "from-tag": fork_tag, "delete-delay": 0}


def delete_call(call_id: str, from_tag: str) -> Command:
    """End the media of a call and all its forks, named by the tag of a party.

    Raises:
        ValueError: a fork's tag, or none.
    """
    _check_parties([from_tag])
    return {"command": "delete", "call-id": call_id, "from-tag": from_tag, "delete-delay": 0}


def play_media(call_id: str, from_tag: str, file: str) -> Command:
    """Play a sound file to one party of a call; the reply tells its `duration` in ms.

    `file` is a path on rtpengine's host. The party hears it as a stream of its own (another SSRC)
    beside its peer, the peer and the forks do not. What it was played before is cut short.

    Raises:
        ValueError: a fork's tag, which would be its recorder, or no file.
    """
    _check_parties([from_tag])
    if not file:
        raise ValueError("there is no file to play")
    return {"command": "play media", "call-id": call_id, "from-tag": from_tag, "file": file}


def stop_media(call_id: str, from_tag: str) -> Command:
    """Stop what `play_media` began; nothing happens when it has ended.

    Raises:
        ValueError: a fork's tag, or none.
    """
    _check_parties([from_tag])
    return {"command": "stop media", "call-id": call_id, "from-tag": from_tag}


def query(call_id: str, tag: str) -> Command:
    """Ask for the state of a party or fork of a call, and of those that it hears.

    Without a tag rtpengine lists all forks that the call ever had, those deleted as well. Over
    UDP a reply of more than 64 KiB is lost: it would look dead after some 70 forks.
    """
    return {"command": "query", "call-id": call_id, "from-tag": tag}


def list_calls(limit: int) -> Command:
    """Ask for the Call-IDs of at most `limit` calls; read the reply with `parse_calls`."""
    return {"command": "list", "limit": limit}


def ping() -> Command:
    """Ask whether rtpengine is there."""
    return {"command": "ping"}


def statistics() -> Command:
    """Ask for totals, and for `interfaces`, each with its `ports` `used` and `free`."""
    return {"command": "statistics"}


def parse_fork_offer(reply: Mapping[str, Value], from_tags: Sequence[str]) -> ForkOffer:
    """Check the reply to `subscribe_request` for these parties.

    Raises:
        NgProtocolError: it says `ok` but must not be used. An unknown party is left out
            without a word, and a call restored after a restart gives no SDP at all.
            Delete the fork.
    """
    sdp = reply.get("sdp")
    if not isinstance(sdp, str) or not sdp:
        raise NgProtocolError("the reply has no sdp")
    if reply.get("from-tags") != list(from_tags):
        raise NgProtocolError(f"asked for {list(from_tags)}, got {reply.get('from-tags')}")
    known = _known_labels(reply)
    labels: dict[str, str] = {}
    for m_line, label in _m_lines(sdp):
        if len(m_line.split()) < 4:
            raise NgProtocolError(f"no codec is left in {m_line!r}")
        if label is None or label not in known or label in labels:
            raise NgProtocolError(f"label {label!r} of {m_line!r} is missing, unknown or doubled")
        labels[label] = known[label]
    if set(labels.values()) != set(from_tags):
        raise NgProtocolError(f"no m-line for {sorted(set(from_tags) - set(labels.values()))}")
    return ForkOffer(sdp=sdp, from_tags=tuple(from_tags), labels=labels)


def parse_calls(reply: Mapping[str, Value]) -> tuple[str, ...]:
    """Read the Call-IDs out of the reply to `list_calls`.

    Raises:
        NgProtocolError: there is no list of Call-IDs in it.
    """
    calls = reply.get("calls")
    if not isinstance(calls, list):
        raise NgProtocolError("the reply has no list of calls")
    return tuple(_text(call) for call in calls)


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise NgProtocolError(f"{value!r} is not a string")
    return value


def _protection(profile: str, suites: Sequence[str]) -> Command:
    if profile in (AVP, AVPF):
        return {"DTLS": "off"}
    if profile in (SAVP, SAVPF):
        _check_suites(suites)
        # Neither `only-…`, which 10.5 does not know, nor `no-…`: rtpengine would forget the
        # keys of a party that has such a suite, and both parties would go deaf.
        return {"DTLS": "off"}
    if profile in (DTLS, DTLS_F):
        return {"DTLS-fingerprint": "sha-256", "SDES": ["off"]}
    raise ValueError(f"{profile!r} is not the profile of a fork")


def _check_suites(suites: Sequence[str]) -> None:
    unfit = [suite for suite in suites if suite not in _SUITES]
    if unfit or not suites:
        raise ValueError(f"{', '.join(unfit) or 'no suite'} cannot protect a fork")


def _codecs(transcode: Sequence[str], keep_digits: bool) -> Command:
    digits: list[Value] = ["telephone-event"]
    if transcode and not keep_digits:
        raise ValueError("a fork that is transcoded cannot be without digits")
    if transcode:
        return {"codec": {"strip": ["all"], "except": digits, "transcode": list(transcode)}}
    return {} if keep_digits else {"codec": {"strip": digits}}


def _check_fork_tag(fork_tag: str) -> None:
    if not fork_tag.startswith(FORK_TAG_PREFIX) or fork_tag == FORK_TAG_PREFIX:
        raise ValueError(f"{fork_tag!r} is not the tag of a fork")


def _check_parties(from_tags: Sequence[str]) -> None:
    if isinstance(from_tags, str) or not from_tags:
        raise ValueError("a fork needs a list of party tags")
    if len(set(from_tags)) != len(from_tags):
        raise ValueError(f"a party stands twice in {list(from_tags)}")
    for tag in from_tags:
        if not tag or tag.startswith(FORK_TAG_PREFIX):
            raise ValueError(f"{tag!r} is not the tag of a party")


def _about_fork(command: str, call_id: str, fork_tag: str) -> Command:
    _check_fork_tag(fork_tag)
    return {"command": command, "call-id": call_id, "to-tag": fork_tag}


def _m_lines(sdp: str) -> Iterator[tuple[str, str | None]]:
    """Give each m-line with the `a=label` of its section."""
    m_line, label = "", None
    for line in sdp.replace("\r\n", "\n").split("\n"):
        if line.startswith("m="):
            if m_line:
                yield m_line, label
            m_line, label = line, None
        elif m_line and line.startswith("a=label:"):
            label = line.removeprefix("a=label:")
    if m_line:
        yield m_line, label


def _known_labels(reply: Mapping[str, Value]) -> dict[str, str]:
    media_labels = reply.get("media-labels")
    if not isinstance(media_labels, dict):
        raise NgProtocolError("the reply has no media-labels")
    known: dict[str, str] = {}
    for label, media in media_labels.items():
        if not isinstance(media, dict):
            raise NgProtocolError(f"media-labels[{label!r}] is not a dictionary")
        known[label] = _text(media.get("tag", ""))
    return known
