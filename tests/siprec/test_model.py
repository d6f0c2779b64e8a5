"""What calls, tracks and states tell about themselves."""

from dataclasses import replace

import pytest

from siprec.model import Call, Party, Side, StreamState, Track, callee_media_tag

CALL = Call(
    sid="CA", account_sid="AC", sip_call_id="a", caller=Party(tag="a"), callee=Party(tag="b")
)


@pytest.mark.parametrize(
    ("track", "tags"),
    [(Track.INBOUND, ["a"]), (Track.OUTBOUND, ["b"]), (Track.BOTH, ["a", "b"])],
)
def test_track_names_the_parties_it_records_caller_first(track: Track, tags: list[str]) -> None:
    assert [CALL.party(side).tag for side in track.sides] == tags


def test_party_is_found_by_its_side() -> None:
    assert CALL.party(Side.CALLEE) == CALL.callee


def test_final_states_are_two() -> None:
    final = {state for state in StreamState if state.is_final}
    assert final == {StreamState.STOPPED, StreamState.FAILED}


def test_callee_has_the_tag_of_its_dialog_when_another_proxy_has_the_media() -> None:
    assert [CALL.media_tag(side) for side in Side] == ["a", callee_media_tag(CALL.sid)]
    plugged = replace(CALL, is_plugged_in=True)
    assert [plugged.media_tag(side) for side in Side] == ["a", "b"]
