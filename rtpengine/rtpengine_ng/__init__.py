"""A client of rtpengine's NG protocol: what it takes to fork the media of a running call.

`messages` builds commands and checks replies, `conversation` matches replies to requests
without I/O, `client` puts a UDP socket around it. Nothing here blocks but `client.ask`.
"""
