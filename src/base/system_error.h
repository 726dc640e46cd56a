/* base/system_error.h: what an errno says. strerror translates it to the language of the host's locale, and
 * may not be called by two threads at once (C11 7.24.6.2). */
#ifndef BASE_SYSTEM_ERROR_H
#define BASE_SYSTEM_ERROR_H

/* A static string, in English. Numbers that no call of this library gives are an "unknown error". */
const char *system_error(int number);

#endif
