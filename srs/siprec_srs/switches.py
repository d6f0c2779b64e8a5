"""The switches of `siprec-srs`, and what they ask for."""

import argparse
from pathlib import Path

from siprec_srs.behaviour import AccessPolicy, Behaviour, SrtpPolicy
from siprec_srs.errors import UsageError
from siprec_srs.mid_call_switches import add_mid_call, read_mid_call, read_status
from siprec_srs.ports import FIRST_PORT, LAST_PORT, PortPairs
from siprec_srs.suites import SUITES
from siprec_srs.tls import TlsPolicy
from siprec_srs.transaction import Timers


def server_parser() -> argparse.ArgumentParser:
    """Return the parser of `siprec-srs`."""
    parser = argparse.ArgumentParser(
        prog="siprec-srs",
        description="A reference SIPREC Session Recording Server.",
        epilog="'siprec-srs make-ca DIR' makes certificates for --tls-listen.",
    )
    parser.add_argument("--listen", default="127.0.0.1:5090", metavar="HOST:PORT")
    parser.add_argument("--out", type=Path, default=Path("recordings"), metavar="DIR")
    parser.add_argument("--rtp-ports", default=f"{FIRST_PORT}-{LAST_PORT}", metavar="MIN-MAX")
    parser.add_argument("--raw", action="store_true", help="also keep the payload bytes")
    parser.add_argument("--events", action="store_true", help="JSON lines on stdout")
    parser.add_argument("--quiet", action="store_true", help="no lines on stderr")
    parser.add_argument("--no-media", action="store_true", help="answer, but take no media")
    parser.add_argument("--video", action="store_true", help="take m-lines of video as well")
    parser.add_argument("--max-sessions", type=int, default=0, metavar="N", help="then exit 0")
    parser.add_argument("--t1", type=float, default=500, metavar="MS", help="SIP timer T1")
    _add_protection(parser.add_argument_group("signalling"))
    _add_srtp(parser.add_argument_group("secured media"))
    _add_misbehaviour(parser.add_argument_group("misbehaviour"))
    add_mid_call(parser.add_argument_group("inside the dialog"))
    return parser


def _add_protection(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--tls-listen", metavar="HOST:PORT", help="listen for TLS as well")
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="our certificate chain, PEM")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM")
    group.add_argument(
        "--tls-client-ca", type=Path, metavar="FILE", help="ask for certificates of this CA"
    )
    group.add_argument("--digest", default="", metavar="USER:PASSWORD", help="else 401")
    group.add_argument("--digest-algorithm", choices=("MD5", "SHA-256"), default="MD5")
    group.add_argument("--digest-all", action="store_true", help="401 inside the dialog too")
    group.add_argument("--proxy-auth", action="store_true", help="407 instead of 401")
    group.add_argument("--nonce-lifetime", type=float, default=300, metavar="S")
    group.add_argument("--require-header", metavar="NAME:VALUE", help="else 403")
    group.add_argument(
        "--capacity", type=int, default=0, metavar="N", help="503 over N sessions at once"
    )


def _access(args: argparse.Namespace) -> AccessPolicy:
    header = None
    if args.require_header is not None:
        name, colon, value = args.require_header.partition(":")
        if not (name.strip() and colon and value.strip()):
            raise UsageError("--require-header: not NAME:VALUE")
        header = name.strip(), value.strip()
    user, colon, _ = args.digest.partition(":")
    if args.digest and not (user and colon):
        raise UsageError("--digest: not USER:PASSWORD")
    if args.proxy_auth and not args.digest:
        raise UsageError("--proxy-auth needs --digest")
    return AccessPolicy(
        digest=args.digest,
        digest_algorithm=args.digest_algorithm,
        nonce_lifetime_s=args.nonce_lifetime,
        every_request=args.digest_all,
        as_proxy=args.proxy_auth,
        header=header,
    )


def _tls(args: argparse.Namespace) -> TlsPolicy | None:
    if args.tls_listen is None:
        return None
    if args.tls_cert is None or args.tls_key is None:
        raise UsageError("--tls-listen needs --tls-cert and --tls-key")
    host, port = read_host_port("--tls-listen", args.tls_listen)
    return TlsPolicy(
        host=host,
        port=port,
        certificate=args.tls_cert,
        key=args.tls_key,
        client_ca=args.tls_client_ca,
    )


def _add_srtp(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--suites", default=",".join(SUITES), metavar="LIST", help="we can")
    group.add_argument("--keys", type=Path, metavar="FILE", help="write SDES keys; for tests only")
    group.add_argument("--dtls-role", choices=("active", "passive"), default="active")
    for name, text in (
        ("answer-avp", "answer RTP/AVP, whatever was offered"),
        ("unoffered-suite", "answer a crypto suite that was not offered"),
        ("unoffered-tag", "answer a crypto tag that was not offered"),
        ("no-crypto", "answer without a key or fingerprint"),
    ):
        group.add_argument(f"--{name}", action="store_true", help=text)
    text = "of the faults above, the first N answers of a session have none"
    group.add_argument("--fair-answers", type=int, default=0, metavar="N", help=text)


def _srtp(args: argparse.Namespace) -> SrtpPolicy:
    suites = tuple(name.strip().upper() for name in args.suites.split(","))
    unknown = [name for name in suites if name not in SUITES]
    if unknown:
        raise UsageError(f"--suites: {unknown[0]!r} is none of {', '.join(SUITES)}")
    return SrtpPolicy(
        suites=suites,
        dtls_role=args.dtls_role,
        answer_avp=args.answer_avp,
        unoffered_suite=args.unoffered_suite,
        unoffered_tag=args.unoffered_tag,
        no_crypto=args.no_crypto,
        fair_answers=args.fair_answers,
    )


def _add_misbehaviour(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--refuse", metavar="N[:REASON]", help="answer the INVITE with N")
    group.add_argument("--retry-after", type=int, metavar="S", help="in every refusal by switch")
    group.add_argument("--redirect", default="", metavar="URI", help="answer 302")
    group.add_argument("--delay", type=float, default=0, metavar="MS", help="before the answer")
    for name, text in (
        ("silent", "never answer an INVITE"),
        ("ring-only", "100 and 180, then nothing"),
        ("ringing", "180 before the final answer"),
        ("late-200-after-cancel", "answer a cancelled INVITE with 200"),
        ("garbage", "200 with a body that is no SDP"),
        ("no-sdp", "200 without a body"),
        ("fewer-mlines", "answer without the last m-line"),
        ("extra-mline", "answer with one m-line too many"),
        ("other-codec", "answer G729, which was not offered"),
        ("inactive", "answer a=inactive"),
    ):
        group.add_argument(f"--{name}", action="store_true", help=text)
    group.add_argument("--port-zero", metavar="INDEX|all", help="refuse an m-line (from 0)")
    for name, text in (
        ("hang-up-after", "BYE, S seconds after the ACK"),
        ("options-after", "OPTIONS in the dialog"),
        ("reinvite-after", "a re-INVITE without change"),
        ("die-after", "exit without BYE, S seconds after the answer"),
    ):
        group.add_argument(f"--{name}", type=float, metavar="S", help=text)
    group.add_argument("--hang-up-reason", default="", metavar="REASON", help="of that BYE")
    group.add_argument("--die-on", type=Path, metavar="FILE", help="exit when FILE appears")


def read_host_port(switch: str, text: str) -> tuple[str, int]:
    """Read HOST:PORT, IPv6 in brackets. Raises: UsageError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{switch} {text}: not HOST:PORT")
    return host.strip("[]"), int(port)


def _refusal(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, reason = text.partition(":")
    status, usual = read_status("--refuse", number)
    return status, reason or usual


def _header_value(switch: str, text: str) -> str:
    if not text.isprintable():
        raise UsageError(f"{switch}: a header is one line")
    return text


def _port_zero(text: str | None) -> int | None:
    if text == "all":
        return None
    if text is not None and not text.isdecimal():
        raise UsageError(f"--port-zero {text}: neither a number nor all")
    return -1 if text is None else int(text)


def read_port_pairs(text: str) -> PortPairs:
    """Read MIN-MAX. Raises: UsageError."""
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal()):
        raise UsageError(f"--rtp-ports {text}: not MIN-MAX")
    low, high = int(first) + int(first) % 2, int(last)
    if low < 1024 or high > 65535 or high - low < 2:
        raise UsageError(f"--rtp-ports {text}: no pair of ports in there")
    return PortPairs(low, high)


def read_behaviour(args: argparse.Namespace) -> Behaviour:
    """Turn parsed switches into a behaviour. Raises: UsageError."""
    return Behaviour(
        out=args.out,
        raw=args.raw,
        events=args.events,
        quiet=args.quiet,
        no_media=args.no_media,
        video=args.video,
        max_sessions=args.max_sessions,
        timers=Timers(t1_s=args.t1 / 1000),
        refuse=_refusal(args.refuse),
        retry_after_s=args.retry_after,
        redirect=args.redirect,
        silent=args.silent,
        ring_only=args.ring_only,
        ringing=args.ringing,
        delay_s=args.delay / 1000,
        late_200_after_cancel=args.late_200_after_cancel,
        garbage=args.garbage,
        no_sdp=args.no_sdp,
        fewer_mlines=args.fewer_mlines,
        extra_mline=args.extra_mline,
        port_zero=_port_zero(args.port_zero),
        other_codec=args.other_codec,
        inactive=args.inactive,
        hang_up_after_s=args.hang_up_after,
        hang_up_reason=_header_value("--hang-up-reason", args.hang_up_reason),
        options_after_s=args.options_after,
        reinvite_after_s=args.reinvite_after,
        die_after_s=args.die_after,
        mid_call=read_mid_call(args),
        srtp=_srtp(args),
        access=_access(args),
        tls=_tls(args),
        capacity=args.capacity,
        die_on=args.die_on,
        keys=args.keys,
    )


def authority_parser() -> argparse.ArgumentParser:
    """Return the parser of `siprec-srs make-ca`."""
    parser = argparse.ArgumentParser(
        prog="siprec-srs make-ca",
        description="Make a certificate authority, a server's and a client's certificate.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--host", action="append", metavar="NAME", help="a name or address that is vouched for"
    )
    parser.add_argument("--days", type=int, default=30, metavar="N", help="how long it is valid")
    parser.add_argument("--bad", action="store_true", help="also certificates to be refused")
    return parser
