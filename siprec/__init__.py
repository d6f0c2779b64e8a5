"""The core of kamailio-siprec: what a recorded call is, and what happens to it.

Everything here is pure (no clock, no random, no socket) but for one room, `siprec.store`,
which keeps the same values in Redis.
"""
