"""Writes a file and waits until it is on the disk, three times."""

import os
import tempfile

for _ in range(3):
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        file.write(b"x" * 65536)
        file.flush()
        os.fsync(file.fileno())
