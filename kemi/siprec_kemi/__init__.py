"""What runs inside Kamailio: the proxy role (call routing, outbox) and the SRC role
(controllers, SIPREC dialogs). `ksr` is the one place that touches Kamailio's API.
"""
