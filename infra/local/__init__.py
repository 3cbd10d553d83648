"""The stack on this machine: an emulator of AWS, the real deployment, users and stations."""
