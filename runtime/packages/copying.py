"""Copying files between open descriptors, by sharing their blocks where the file system can."""

import errno
import fcntl
import os

_COPY_BYTES = 64 * 1024 * 1024
_FICLONE = 0x40049409  # <linux/fs.h>: share the blocks of another file
_NOT_SUPPORTED = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}


class FileCopier:
    """Copies the contents of files; remembers whether the file system shares blocks, so that it is asked once."""

    def __init__(self) -> None:
        self._can_share = True

    def copy(self, reading: int, writing: int) -> None:
        """Write what `reading` holds from its position on to the empty file `writing`.

        Raises:
            OSError: the disk refuses.
        """
        if os.fstat(reading).st_size and not self._share(reading, writing):
            while os.sendfile(writing, reading, None, _COPY_BYTES):
                pass

    def _share(self, reading: int, writing: int) -> bool:
        if self._can_share:
            try:
                fcntl.ioctl(writing, _FICLONE, reading)
            except OSError as error:
                if error.errno not in _NOT_SUPPORTED:
                    raise
                self._can_share = False
        return self._can_share
