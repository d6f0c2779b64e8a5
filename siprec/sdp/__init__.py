"""SDP (RFC 8866): read it, compose the offer to the SRS, check the answer of the SRS."""

from siprec.errors import ForkError as ForkError
from siprec.errors import SdpError as SdpError
from siprec.errors import SrtpError as SrtpError
from siprec.sdp.answer import CheckedAnswer as CheckedAnswer
from siprec.sdp.answer import check_answer as check_answer
from siprec.sdp.direction import gated_answer as gated_answer
from siprec.sdp.direction import grown_offer as grown_offer
from siprec.sdp.direction import muted_offer as muted_offer
from siprec.sdp.offer import ForkLine as ForkLine
from siprec.sdp.offer import ForkMedia as ForkMedia
from siprec.sdp.offer import Offer as Offer
from siprec.sdp.offer import OfferedMedia as OfferedMedia
from siprec.sdp.offer import compose_offer as compose_offer
from siprec.sdp.offer import fork_tracks as fork_tracks
from siprec.sdp.protection import SUITES as SUITES
from siprec.sdp.protection import Profile as Profile
from siprec.sdp.protection import hide_keys as hide_keys
from siprec.sdp.session import Attributes as Attributes
from siprec.sdp.session import Media as Media
from siprec.sdp.session import Session as Session
from siprec.sdp.session import first_media as first_media
from siprec.sdp.session import parse as parse
