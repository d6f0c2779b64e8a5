"""The SRC role: controllers that own shards, and the SIP side of SIPREC dialogs."""
