"""The proxy role: carries calls and reports what happened to them. No recording logic."""
