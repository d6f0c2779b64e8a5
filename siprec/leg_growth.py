"""How video comes to a leg that records audio: by a fork with both, which takes its place. Pure.

rtpengine cannot add an m-line to a fork, so there is a second one, under a tag of its own, until
the SRS has agreed to what it offers. If it does not, all stays as it is: the audio goes on.
"""

from dataclasses import replace

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.errors import SdpError
from siprec.leg_end import BAD_ANSWER, UNREACHABLE, At, Fault, LegOutcome, release_others, wind_down
from siprec.model import Ask, Leg, Picture
from siprec.sdp import Offer, check_answer, parse
from siprec.sids import make_fork_tag

NO_MEDIA = 31953


def grow(leg: Leg, at: At) -> LegOutcome:
    """Ask for a fork with the call's video, when the SRS is to have it and was not offered any."""
    if not at.picture.has_video or leg.no_video or leg.next_fork:
        return LegOutcome(leg)
    if leg.offer is None or leg.offer.has_video:
        return LegOutcome(leg)
    forks = leg.forks + 1
    tag = make_fork_tag(at.sid, leg.number, forks)
    return LegOutcome(replace(leg, forks=forks, next_fork=tag), (e.RequestFork(),))


def offer_of(leg: Leg) -> Offer | None:
    """Give the offer of the request at hand."""
    is_growing = leg.asked is not None and leg.asked.grows
    return leg.next_offer if is_growing else leg.offer


def fit(leg: Leg, picture: Picture) -> Picture:
    """Give what the SRS of a leg is to know: of video, nothing when that was given up."""
    return replace(picture, has_video=False) if leg.no_video else picture


def fork_grown(leg: Leg, event: e.ForkOffered, at: At) -> LegOutcome:
    """rtpengine has such a fork."""
    if not leg.next_fork or leg.next_offer is not None or leg.offer is None:
        return LegOutcome(leg)
    if not event.offer.has_video:
        return _without(leg)
    if len(parse(leg.offer.sdp).media) > len(leg.offer.media):
        # Those that the SRS would add stand where the video would have to.
        return give_up_growing(leg, "has m-lines of its own", at)
    if event.offer.has_call_key and not leg.offer.has_call_key:
        # What was decided of it at the start (RFC 7866 §12.2) does not hold any more.
        return give_up_growing(leg, "it would have the key of the call", at)
    return LegOutcome(replace(leg, next_offer=event.offer))


def fork_not_grown(leg: Leg, event: e.ForkRefused, at: At) -> LegOutcome:
    """rtpengine has no such fork."""
    if not leg.next_fork:
        return LegOutcome(leg)
    text = f"the video of the call is not recorded: {event.text}"
    alert = e.RaiseAlert(code=NO_MEDIA, text=text, level=AlertLevel.WARNING)
    without = _without(leg)
    return LegOutcome(without.leg, (*without.commands, alert))


def growing(leg: Leg, at: At, *, is_refresh: bool, until_ms: int) -> Ask:
    """Give the re-INVITE that offers all m-lines, with all metadata: there are new labels."""
    return Ask(
        cseq=leg.cseq + 1,
        muted=at.muted,
        picture=at.picture,
        is_full=True,
        is_refresh=is_refresh,
        grows=True,
        until_ms=until_ms,
    )


def take_grown(leg: Leg, sdp: str | None, asked: Ask, at: At) -> LegOutcome:
    """Take the answer to it: from now on the new fork feeds the SRS."""
    if leg.next_offer is None or sdp is None:
        fault = Fault(BAD_ANSWER, f"the SRS {leg.srs} answered without SDP")
        return wind_down(leg, at, bye=True, fault=fault)
    try:
        checked = check_answer(leg.next_offer, sdp)
    except SdpError as error:
        fault = Fault(error.code, f"the SRS {leg.srs}: {error}")
        return wind_down(leg, at, bye=True, fault=fault)
    moved = replace(
        leg,
        fork_tag=leg.next_fork,
        offer=leg.next_offer,
        next_fork="",
        next_offer=None,
        answer=checked.sdp,
        muted=asked.muted,
        is_doubtful=False,
        dropped=checked.refused,
        told=asked.picture,
        told_ms=at.now_ms,
        is_gating=True,
    )
    commands: list[e.LegCommand] = [e.AnswerFork(), e.ReleaseFork(fork_tag=leg.fork_tag)]
    refused = [label for label in checked.refused if label not in leg.dropped]
    if refused:
        text = f"the SRS {leg.srs} refused the m-line of label {', '.join(refused)}"
        commands.append(e.RaiseAlert(code=BAD_ANSWER, text=text, level=AlertLevel.WARNING))
    return LegOutcome(moved, tuple(commands))


def give_up_growing(leg: Leg, why: str, at: At) -> LegOutcome:
    """Go on with audio alone, and tell people."""
    text = f"the SRS {leg.srs} does not take the video of the call ({why}): its audio goes on"
    alert = e.RaiseAlert(code=BAD_ANSWER, text=text, level=AlertLevel.WARNING)
    without = _without(leg)
    return LegOutcome(without.leg, (*without.commands, alert))


def grown_in_doubt(leg: Leg, why: str, at: At) -> LegOutcome:
    """Leave an SRS of which nobody knows whether it has the new m-lines (RFC 3261 §14.1)."""
    text = f"the SRS {leg.srs} did not agree to the video of the call, nor refuse it ({why})"
    return wind_down(leg, at, bye=True, fault=Fault(UNREACHABLE, text), heard_ms=leg.heard_ms)


def forget_growth(leg: Leg, at: At) -> LegOutcome:
    """Let go, after a takeover, of all forks but the one in use; video is then asked for anew.

    The answer of the SRS may still come, if it was asked.
    """
    if leg.asked is not None and leg.asked.grows:
        return LegOutcome(leg)
    return LegOutcome(replace(leg, next_fork="", next_offer=None), release_others(leg, at))


def _without(leg: Leg) -> LegOutcome:
    told = None if leg.told is None else replace(leg.told, has_video=False)
    moved = replace(leg, next_fork="", next_offer=None, no_video=True, told=told)
    return LegOutcome(moved, (e.ReleaseFork(fork_tag=leg.next_fork),))
