/* base/system_error.h: the message of an errno. strerror translates it to the host's locale, and two threads must
 * not call it at once (C11 7.24.6.2). */
#ifndef BASE_SYSTEM_ERROR_H
#define BASE_SYSTEM_ERROR_H

/* A static English string, or "unknown error" for numbers that no call of this library gives. */
const char *system_error(int number);

#endif
