"""The core of kamailio-siprec: what a recorded call is, and what happens to it.

Everything here is pure (no clock, no random, no socket) but for the rooms that
keep the same values in Redis: those that import `siprec.redis_client`.
"""
