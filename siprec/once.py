"""Entries that reach the inbox of a shard once, however often somebody appends them."""

REQUEST_S = 86_400
"""So long it is remembered that one was there."""

# KEYS: inbox, request. ARGV: how long a request is remembered (s), then the inbox entry.
FORWARD_ONCE = """
if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', 't', ARGV[2], 'd', ARGV[3])
return 1
"""
