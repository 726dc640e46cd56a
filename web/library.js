// What emscripten 3.1.6 leaves out of its system calls. Linked into both programs, by --js-library.
/* global mergeInto, LibraryManager, SYSCALLS, FS, HEAP32, ERRNO_CODES */
mergeInto(LibraryManager.library, {
  // Emscripten's takes the lower half of the offset only.
  fd_pwrite__deps: ['$SYSCALLS', '$FS'],
  fd_pwrite: function (fd, vectors, count, low, high, written) {
    try {
      var stream = SYSCALLS.getStreamFromFD(fd);
      HEAP32[written >>> 2] = SYSCALLS.doWritev(stream, vectors, count, high * 4294967296 + (low >>> 0));
      return 0;
    } catch (e) {
      if (!(e instanceof FS.ErrnoError)) throw e;
      return e.errno;
    }
  },

  // Emscripten's does nothing for files of the disk.
  fd_sync__deps: ['$SYSCALLS', '$FS', '$ERRNO_CODES'],
  fd_sync: function (fd) {
    try {
      var stream = SYSCALLS.getStreamFromFD(fd);
      if (stream.nfd !== undefined) require('fs').fsyncSync(stream.nfd);
      return 0;
    } catch (e) {
      return e.errno > 0 ? e.errno : ERRNO_CODES[e.code] || ERRNO_CODES.EIO;
    }
  },

  // Emscripten has no links. Where there are none, a file that moves to a name that nobody has is as good.
  __syscall_linkat__deps: ['$SYSCALLS', '$FS', '$ERRNO_CODES'],
  __syscall_linkat: function (fromFolder, from, toFolder, to) {
    from = SYSCALLS.calculateAt(fromFolder, SYSCALLS.getStr(from));
    to = SYSCALLS.calculateAt(toFolder, SYSCALLS.getStr(to));
    try {
#if NODERAWFS
      require('fs').linkSync(from, to);
#else
      if (FS.analyzePath(to).exists) return -ERRNO_CODES.EEXIST;
      FS.rename(from, to);
#endif
      return 0;
    } catch (e) {
      return -(e.errno > 0 ? e.errno : ERRNO_CODES[e.code] || ERRNO_CODES.EIO);
    }
  },

  // Emscripten's opens the path anew, and makes a file where there is none, when a descriptor is to be doubled.
  __syscall_fcntl64__deps: ['$FS', '$ERRNO_CODES'],
  __syscall_fcntl64: function (fd, what) {
    if (!FS.getStream(fd)) return -ERRNO_CODES.EBADF;
    return what === 1 || what === 2 ? 0 : -ERRNO_CODES.EINVAL; // F_GETFD, F_SETFD
  },

  // Emscripten's fails on descriptors of node. Whoever asks again after a moment needs no answer.
  __syscall_poll: function (descriptors, count) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    return count;
  },
});
