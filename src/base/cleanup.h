/* SPDX-License-Identifier: Apache-2.0 */
/* Scope cleanup and explicit hand-over. */
#ifndef HF_BASE_CLEANUP_H
#define HF_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs fn(&variable) when the variable leaves its scope: a use enough. */
#define HF_CLEANUP(fn) __attribute__((cleanup(fn), unused))

/* Yields a pointer and sets its variable to NULL: the caller of HF_TAKE owns it now. */
#define HF_TAKE(p)              \
  __extension__({               \
    __typeof__(p) taken_ = (p); \
    (p) = NULL;                 \
    taken_;                     \
  })

#define HF_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Defines name##p(T **), for HF_CLEANUP, out of a free function that takes NULL. */
#define HF_DEFINE_CLEANUP(T, fn)  \
  static inline void fn##p(T **p) \
  {                               \
    fn(*p);                       \
    *p = NULL;                    \
  }

static inline void hf_freep(void *p)
{
  void **pp = p;
  free(*pp);
  *pp = NULL;
}

static inline void hf_closep(const int *fd)
{
  if (*fd >= 0)
    close(*fd);
}

static inline void hf_fclosep(FILE **f)
{
  if (*f)
    fclose(*f);
}

static inline void hf_closedirp(DIR **d)
{
  if (*d)
    closedir(*d);
}

#endif
