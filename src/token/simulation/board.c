/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/board.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { BOARD_VERSION = 1, LOCK_CHANGE = 0, LOCK_DEVICE = 1 };

#define BOARD_MAGIC 0x64726f6253464821ULL

/* One of two: a change writes the other one, and then counts the generation, so that one that is cut off is not seen. */
struct sheet {
  uint64_t count;
  uint64_t armed[PLAN_MAX];
  char texts[PLAN_MAX][FAULT_TEXT_MAX];
  struct fault_state states[PLAN_MAX];
};

/* The file. All of its numbers may be anything, since others write them, too. */
struct page {
  uint64_t magic;
  uint64_t version;
  _Atomic uint64_t generation;
  _Atomic uint64_t unplugged_until; /* 0: plugged in */
  _Atomic uint64_t removals;
  _Atomic uint64_t clears;
  struct sheet sheets[2];
};

struct board {
  int fd;
  struct page *page;
  pthread_mutex_t device; /* of this process; the file's lock is for the others */
  char path[PATH_MAX];
};

uint64_t board_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Locks of the open file: they end with the process, however it ends. */
static int lock(const struct board *board, int byte, short type, bool wait)
{
  struct flock region = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
  int done;
  do
    done = fcntl(board->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &region);
  while (done != 0 && errno == EINTR && wait);
  return done;
}

static hf_err lock_changes(struct board *board)
{
  return lock(board, LOCK_CHANGE, F_WRLCK, true) == 0 ? HF_OK : hf_fail_errno(errno, "%s", board->path);
}

static void unlock_changes(const struct board *board)
{
  (void)lock(board, LOCK_CHANGE, F_UNLCK, false);
}

static hf_err map_page(struct board *board)
{
  struct stat st;
  if (fstat(board->fd, &st) != 0)
    return hf_fail_errno(errno, "%s", board->path);
  if (!S_ISREG(st.st_mode) || (st.st_size != 0 && st.st_size != sizeof(struct page)))
    return hf_hint(hf_fail(HF_ERR_TOKEN_STORE, "%s is no switchboard of a simulated token", board->path),
                   "Remove the file: the token makes it anew.");
  if (st.st_size == 0 && ftruncate(board->fd, sizeof(struct page)) != 0)
    return hf_fail_errno(errno, "%s", board->path);
  board->page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, board->fd, 0);
  if (board->page != MAP_FAILED)
    return HF_OK;
  board->page = NULL;
  return hf_fail_errno(errno, "%s", board->path);
}

/* A file of zeros is a new one, or one whose maker was cut off. */
static hf_err check_page(struct board *board)
{
  struct page *page = board->page;
  if (page->magic == 0) {
    page->version = BOARD_VERSION;
    page->magic = BOARD_MAGIC;
  }
  if (page->magic == BOARD_MAGIC && page->version == BOARD_VERSION)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_TOKEN_STORE, "%s is no switchboard of a simulated token", board->path),
                 "Remove the file: the token makes it anew.");
}

static hf_err open_page(struct board *board, unsigned umask_bits)
{
  board->fd = open(board->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666 & ~umask_bits);
  if (board->fd < 0)
    return hf_fail_errno(errno, "%s", board->path);
  HF_TRY(lock_changes(board));
  hf_err e = map_page(board);
  if (!hf_failed(e))
    e = check_page(board);
  unlock_changes(board);
  return e;
}

hf_err board_open(const char *dir, unsigned umask_bits, struct board **ret_board)
{
  HF_CLEANUP(board_closep) struct board *board = calloc(1, sizeof(*board));
  if (!board)
    return hf_fail(HF_ERR_NO_MEMORY, "the switchboard of %s", dir);
  board->fd = -1;
  pthread_mutex_init(&board->device, NULL);
  if ((size_t)snprintf(board->path, sizeof(board->path), "%s/" BOARD_FILE, dir) >= sizeof(board->path))
    return hf_fail(HF_ERR_LIMIT, "the path %s", dir);
  HF_TRY(open_page(board, umask_bits));
  *ret_board = HF_TAKE(board);
  return HF_OK;
}

struct board *board_close(struct board *board)
{
  if (!board)
    return NULL;
  if (board->page)
    munmap(board->page, sizeof(struct page));
  if (board->fd >= 0)
    close(board->fd);
  pthread_mutex_destroy(&board->device);
  free(board);
  return NULL;
}

bool board_unplugged(const struct board *board)
{
  uint64_t until = atomic_load(&board->page->unplugged_until);
  return until == BOARD_FOREVER || (until != 0 && board_now() < until);
}

uint64_t board_removals(const struct board *board)
{
  return atomic_load(&board->page->removals);
}

void board_unplug(struct board *board, uint64_t until)
{
  if (!board_unplugged(board))
    atomic_fetch_add(&board->page->removals, 1);
  atomic_store(&board->page->unplugged_until, until);
}

void board_plug(struct board *board)
{
  atomic_store(&board->page->unplugged_until, 0);
}

uint64_t board_generation(const struct board *board)
{
  return atomic_load(&board->page->generation);
}

uint64_t board_clears(const struct board *board)
{
  return atomic_load(&board->page->clears);
}

static struct sheet *sheet_of(const struct board *board, uint64_t generation)
{
  return &board->page->sheets[generation & 1];
}

struct fault_state *board_state(struct board *board, uint64_t generation, size_t i)
{
  return &sheet_of(board, generation)->states[i];
}

/* With the changes locked. A fault that cannot be read was put there by a version of other words: it is passed over. */
static hf_err read_sheet(const struct board *board, struct board_plan *plan)
{
  const struct sheet *sheet = sheet_of(board, plan->generation);
  for (size_t i = 0; i < sheet->count && i < PLAN_MAX; i++) {
    char text[FAULT_TEXT_MAX];
    memcpy(text, sheet->texts[i], sizeof(text));
    text[sizeof(text) - 1] = '\0';
    struct fault *fault = &plan->plan.faults[i];
    if (hf_failed(fault_parse(text, fault)))
      *fault = (struct fault){ .function = "-", .kind = FAULT_SLOW };
    plan->armed[i] = sheet->armed[i];
    plan->plan.count = i + 1;
  }
  return HF_OK;
}

hf_err board_read(struct board *board, struct board_plan *ret_plan)
{
  HF_CLEANUP(hf_freep) struct board_plan *plan = calloc(1, sizeof(*plan));
  if (!plan)
    return hf_fail(HF_ERR_NO_MEMORY, "the faults of %s", board->path);
  HF_TRY(lock_changes(board));
  plan->generation = board_generation(board);
  hf_err e = read_sheet(board, plan);
  unlock_changes(board);
  HF_TRY(e);
  *ret_plan = *plan;
  return HF_OK;
}

static void copy_state(const struct fault_state *from, struct fault_state *to)
{
  atomic_store(&to->calls, atomic_load(&from->calls));
  atomic_store(&to->strikes, atomic_load(&from->strikes));
  atomic_store(&to->since, atomic_load(&from->since));
}

/* With the changes locked: the next generation has what this one has, and more. */
static hf_err add_to_sheet(struct board *board, const struct plan *more)
{
  static const struct fault_state fresh;
  uint64_t generation = board_generation(board), now = board_now();
  const struct sheet *old = sheet_of(board, generation);
  struct sheet *sheet = sheet_of(board, generation + 1);
  size_t count = old->count < PLAN_MAX ? (size_t)old->count : PLAN_MAX;
  if (count + more->count > PLAN_MAX)
    return hf_hint(hf_fail(HF_ERR_LIMIT, "more than %d faults", PLAN_MAX), "Switch those off that are there.");
  for (size_t i = 0; i < count + more->count; i++) {
    bool added = i >= count;
    memcpy(sheet->texts[i], added ? more->faults[i - count].text : old->texts[i], FAULT_TEXT_MAX);
    sheet->armed[i] = added ? now : old->armed[i];
    copy_state(added ? &fresh : &old->states[i], &sheet->states[i]);
  }
  sheet->count = count + more->count;
  atomic_store(&board->page->generation, generation + 1);
  return HF_OK;
}

hf_err board_add(struct board *board, const char *text)
{
  HF_CLEANUP(hf_freep) struct plan *more = calloc(1, sizeof(*more));
  if (!more)
    return hf_fail(HF_ERR_NO_MEMORY, "the faults of %s", board->path);
  HF_TRY(plan_parse(text, more));
  if (more->count == 0)
    return word_bad(text, "a fault, like C_Sign nth=3 device-error");
  HF_TRY(lock_changes(board));
  hf_err e = add_to_sheet(board, more);
  unlock_changes(board);
  return e;
}

hf_err board_clear(struct board *board)
{
  HF_TRY(lock_changes(board));
  uint64_t generation = board_generation(board);
  sheet_of(board, generation + 1)->count = 0;
  atomic_store(&board->page->generation, generation + 1);
  atomic_fetch_add(&board->page->clears, 1);
  unlock_changes(board);
  return HF_OK;
}

bool board_try_acquire(struct board *board)
{
  if (pthread_mutex_trylock(&board->device) != 0)
    return false;
  if (lock(board, LOCK_DEVICE, F_WRLCK, false) == 0)
    return true;
  pthread_mutex_unlock(&board->device);
  return false;
}

void board_release(struct board *board)
{
  (void)lock(board, LOCK_DEVICE, F_UNLCK, false);
  pthread_mutex_unlock(&board->device);
}
