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

  // Process ids are given again, and two containers may have the same: the time tells them apart. A name that no other run
  // has ever is what keeps a file whole that is swept by mistake: its run ends with an error.
  temporary_maker: function (maker) {
#if NODERAWFS
    stringToUTF8(process.pid + '-' + Math.round(performance.timeOrigin * 1000) + '-', maker, 32);
#else
    stringToUTF8('', maker, 32);
#endif
  },

  // Called with each name that this process may give. The first finds the files of all processes.
  place_sweep__deps: ['$SYSCALLS'],
  place_sweep: function (folder, name) {
#if NODERAWFS
    var fs = require('fs'), path = SYSCALLS.getStreamFromFD(folder).path;
    var own = /^(.*-)(\d+)(-\d+-)0\.tmp$/.exec(UTF8ToString(name));
    function lives(id) {
      try {
        return process.kill(id, 0);
      } catch (e) {
        return e.code !== 'ESRCH';
      }
    }
    try {
      for (var entry of own ? fs.readdirSync(path, { withFileTypes: true }) : []) {
        var other = /^(.*-)(\d+)(-\d+-)\d\.tmp$/.exec(entry.name);
        if (!other || other[1] !== own[1] || !entry.isFile()) continue;
        if (other[2] === own[2] ? other[3] !== own[3] : !lives(other[2])) fs.unlinkSync(path + '/' + entry.name);
      }
    } catch (e) { // a folder that may not be read, or a file that another run has swept
    }
#endif
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
