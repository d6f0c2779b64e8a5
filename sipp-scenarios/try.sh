# shellcheck shell=bash
# Source this in every terminal in which you try a case: `. sipp-scenarios/try.sh`.
# All that is made goes to the folder $TRY, /tmp/siprec-try unless you set it.

CASES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TRY=${TRY:-/tmp/siprec-try}
PATH=$CASES/../.venv/bin:$PATH
export CASES TRY PATH SIPREC_CONFIG=$TRY/siprec.toml SIPREC_STATE=$TRY/state
mkdir -p "$TRY"
cat > "$SIPREC_CONFIG" <<'TOML'
[routing]
gateway = "sip:127.0.0.1:5080"
TOML

# try_srs [SWITCH…]: a recorder on port 5090; $SRS_PORT is another port.
try_srs() {
  siprec-srs --listen "127.0.0.1:${SRS_PORT:-5090}" --out "$TRY/recordings-${SRS_PORT:-5090}" "$@"
}

# try_tone HZ NAME: writes a tone for SIPp to play, as PCMA (NAME.alaw) and as PCMU (NAME.ulaw).
try_tone() {
  for law in alaw ulaw; do
    PYTHONPATH=$CASES/.. python -m tests.scenarios.sounds "$1" "$2.$law" || return
  done
}

# try_callee [SCENARIO [SIPP SWITCH…]]: answers every call and plays a tone of 880 Hz;
# $CALLEE_PORT is another port.
try_callee() (
  scenario=${1:-speech/callee.xml}
  shift $(($# < 1 ? $# : 1))
  cd "$TRY" && try_tone 880 callee &&
    sipp -sf "$CASES/$scenario" -i 127.0.0.1 -mi 127.0.0.1 -p "${CALLEE_PORT:-5080}" -nostdin "$@"
)

# try_call NUMBER [SECONDS [SIPP SWITCH…]]: calls, plays a tone of 440 Hz, hangs up.
# $SCENARIO is another caller than speech/caller.xml; $CALLER and $CALLEE are display names.
try_call() (
  number=$1 seconds=${2:-10}
  shift $(($# < 2 ? $# : 2))
  cd "$TRY" && try_tone 440 caller &&
    sipp -sf "$CASES/${SCENARIO:-speech/caller.xml}" -i 127.0.0.1 -mi 127.0.0.1 -p 5082 -nostdin \
      -s "$number" -m 1 -recv_timeout "${seconds}000" -d "${seconds}000" \
      -key caller_name "${CALLER:-Ann}" -key callee_name "${CALLEE:-Bob}" "$@" 127.0.0.1:5060
)
