/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { WORD_BITS = 64, HEAD_TRIES = 10, HEAD_PAUSE = 1000000 /* ns */, SLACK = 64 << 20 };

struct pages {
  const struct store_kind *kind;
  const char *dir;
  int fd;
  size_t page_bytes;
  const uint8_t *map;
  size_t map_bytes;
  _Atomic size_t there;       /* pages of the file, at least */
  _Atomic(uint64_t) *checked; /* a bit a page */
  size_t checked_bytes;
  uint64_t *free; /* a bit a page, as of the write that is under way */
};

static hf_err damaged(const struct pages *pages, size_t number, const char *fault)
{
  return hf_fail(pages->kind->damaged, "%s/data.mdb: page %zu %s", pages->dir, number, fault);
}

/* The head */

static hf_err head_fault(const struct pages *pages, enum page_verdict verdict)
{
  if (verdict == PAGE_NEWER)
    return hf_fail(pages->kind->newer, "%s/data.mdb", pages->dir);
  return hf_fail(pages->kind->damaged, "%s/data.mdb: its head", pages->dir);
}

static const struct page_meta *newer_of(const struct page_meta metas[PAGE_METAS])
{
  return &metas[metas[1].txn > metas[0].txn];
}

/* Commits number themselves one by one, and no page that was in use is ever given back to the file system. */
static bool metas_agree(const struct page_meta metas[PAGE_METAS])
{
  const struct page_meta *newer = newer_of(metas), *older = &metas[newer == metas];
  return newer->page_bytes == older->page_bytes && newer->last >= older->last &&
         (newer->txn == older->txn + 1 || newer->txn == 0);
}

static hf_err read_metas(struct pages *pages, struct page_meta metas[PAGE_METAS])
{
  enum page_verdict verdict = PAGE_GOOD;
  for (size_t i = 0; i < PAGE_METAS && verdict == PAGE_GOOD; i++) {
    uint8_t bytes[PAGE_SMALLEST];
    off_t at = i ? (off_t)metas[0].page_bytes : 0;
    if (pread(pages->fd, bytes, sizeof(bytes), at) != (ssize_t)sizeof(bytes))
      return hf_fail(pages->kind->damaged, "%s/data.mdb is cut short", pages->dir);
    verdict = page_meta_read(bytes, i, &metas[i]);
  }
  if (verdict == PAGE_GOOD && !metas_agree(metas))
    verdict = PAGE_DAMAGED;
  return verdict == PAGE_GOOD ? HF_OK : head_fault(pages, verdict);
}

/* A commit of another process may be half-written when it is read: then it is whole a moment later. */
static hf_err check_head(struct pages *pages)
{
  struct page_meta metas[PAGE_METAS] = { 0 };
  struct stat file;
  hf_err e = read_metas(pages, metas);
  for (int i = 0; i < HEAD_TRIES && hf_failed(e); i++) {
    nanosleep(&(struct timespec){ .tv_nsec = HEAD_PAUSE }, NULL);
    e = read_metas(pages, metas);
  }
  HF_TRY(e);
  if (fstat(pages->fd, &file) != 0)
    return hf_fail_errno(errno, "%s/data.mdb", pages->dir);
  assert(metas[0].page_bytes);
  pages->page_bytes = metas[0].page_bytes;
  pages->there = (size_t)file.st_size / pages->page_bytes;
  size_t last = newer_of(metas)->last, most = pages->map_bytes / pages->page_bytes;
  if (last >= most || last > 2 * pages->there + SLACK / pages->page_bytes)
    return hf_fail(pages->kind->damaged, "%s/data.mdb: its head tells of %zu pages, and %zu are there", pages->dir,
                   last + 1, pages->there);
  return HF_OK;
}

static hf_err map_file(struct pages *pages)
{
  pages->checked_bytes = pages->map_bytes / pages->page_bytes / CHAR_BIT + sizeof(uint64_t);
  void *map = mmap(NULL, pages->map_bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, pages->fd, 0);
  void *checked =
      mmap(NULL, pages->checked_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  void *free =
      mmap(NULL, pages->checked_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  int saved = errno;
  pages->free = free == MAP_FAILED ? NULL : free;
  pages->map = map == MAP_FAILED ? NULL : map;
  pages->checked = checked == MAP_FAILED ? NULL : checked;
  return pages->map && pages->checked && pages->free ? HF_OK : hf_fail_errno(saved, "%s/data.mdb", pages->dir);
}

static hf_err open_all(struct pages *pages)
{
  char path[PATH_MAX];
  if ((size_t)snprintf(path, sizeof(path), "%s/data.mdb", pages->dir) >= sizeof(path))
    return hf_fail(HF_ERR_LIMIT, "the path %s", pages->dir);
  pages->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (pages->fd < 0)
    return hf_fail_errno(errno, "%s", path);
  HF_TRY(check_head(pages));
  return map_file(pages);
}

hf_err pages_open(const struct store_kind *kind, const char *dir, size_t map_bytes, struct pages **ret_pages)
{
  struct pages *pages = calloc(1, sizeof(*pages));
  char *copy = strdup(dir);
  if (!pages || !copy) {
    free(pages);
    free(copy);
    return hf_fail(HF_ERR_NO_MEMORY, "%s", dir);
  }
  pages->kind = kind;
  pages->dir = copy;
  pages->fd = -1;
  pages->map_bytes = map_bytes;
  hf_err e = open_all(pages);
  if (hf_failed(e)) {
    pages_close(pages);
    return e;
  }
  *ret_pages = pages;
  return HF_OK;
}

struct pages *pages_close(struct pages *pages)
{
  if (!pages)
    return NULL;
  if (pages->map)
    munmap((void *)(uintptr_t)pages->map, pages->map_bytes);
  if (pages->checked)
    munmap(pages->checked, pages->checked_bytes);
  if (pages->free)
    munmap(pages->free, pages->checked_bytes);
  if (pages->fd >= 0)
    close(pages->fd);
  free((void *)(uintptr_t)pages->dir);
  free(pages);
  return NULL;
}

hf_err pages_lock(struct pages *pages)
{
  while (flock(pages->fd, LOCK_EX) != 0)
    if (errno != EINTR)
      return hf_fail_errno(errno, "locking %s/data.mdb", pages->dir);
  return HF_OK;
}

void pages_unlock(struct pages *pages)
{
  flock(pages->fd, LOCK_UN);
}

/* Pages */

/* Reading beyond the file's end would be SIGBUS. Others may have made it longer since it was looked at. */
static bool is_there(struct pages *pages, size_t number, size_t count)
{
  struct stat file;
  if (number + count <= pages->there)
    return true;
  if (fstat(pages->fd, &file) != 0)
    return false;
  pages->there = (size_t)file.st_size / pages->page_bytes;
  return number + count <= pages->there;
}

static hf_err visit(struct pages *pages, const struct page_claim *claim, const uint8_t **ret_page)
{
  size_t word = claim->number / WORD_BITS;
  uint64_t bit = UINT64_C(1) << claim->number % WORD_BITS;
  if (claim->number >= claim->end || !is_there(pages, claim->number, 1))
    return damaged(pages, claim->number, "is missing");
  const uint8_t *page = pages->map + claim->number * pages->page_bytes;
  if (!(atomic_load_explicit(&pages->checked[word], memory_order_relaxed) & bit) ||
      !page_is(page, claim->number, claim->kind)) {
    const char *fault = page_fault(page, pages->page_bytes, claim);
    if (fault)
      return damaged(pages, claim->number, fault);
    atomic_fetch_or_explicit(&pages->checked[word], bit, memory_order_relaxed);
  }
  *ret_page = page;
  return HF_OK;
}

static bool is_free(const struct pages *pages, size_t number)
{
  return pages->free[number / WORD_BITS] >> number % WORD_BITS & 1;
}

static hf_err used_and_free(const struct pages *pages, size_t number)
{
  return damaged(pages, number, "is in use, and on the list of free pages");
}

/* Walks */

static unsigned leaf_level(const struct walk *walk)
{
  return walk->tree.depth - 1;
}

/* Goes to a page of a level; at its first entry. */
static hf_err enter(struct walk *walk, unsigned level, size_t number, struct hf_slice low, struct hf_slice below)
{
  struct page_claim claim = { .number = number,
                              .end = walk->end,
                              .kind = level == leaf_level(walk) ? PAGE_LEAF : PAGE_BRANCH,
                              .tree = &walk->tree,
                              .low = low,
                              .below = below };
  HF_TRY(visit(walk->pages, &claim, &walk->level[level].page));
  if (walk->writes && is_free(walk->pages, number))
    return used_and_free(walk->pages, number);
  walk->level[level].at = 0;
  walk->level[level].low = low;
  walk->level[level].below = below;
  return HF_OK;
}

static hf_err enter_root(struct walk *walk)
{
  return enter(walk, 0, walk->tree.root, hf_slice(NULL, 0), hf_slice(NULL, 0));
}

/* From the entry where a level stands to the page below it. */
static hf_err descend(struct walk *walk, unsigned level)
{
  const uint8_t *page = walk->level[level].page;
  unsigned at = walk->level[level].at;
  struct hf_slice low = at > 0 ? page_key(page, at) : walk->level[level].low;
  struct hf_slice below = at + 1 < page_count(page) ? page_key(page, at + 1) : walk->level[level].below;
  return enter(walk, level + 1, page_child(page, at), low, below);
}

enum end { FIRST, LAST };

/* From a level down to the leaf at that end of what lies below its entry. */
static hf_err descend_to(struct walk *walk, unsigned level, enum end end)
{
  for (; level < leaf_level(walk); level++) {
    HF_TRY(descend(walk, level));
    if (end == LAST)
      walk->level[level + 1].at = page_count(walk->level[level + 1].page) - 1;
  }
  return HF_OK;
}

/* To the entry before or after, on this leaf or the next. */
static hf_err step(struct walk *walk, enum end towards, bool *ret_there)
{
  unsigned level = leaf_level(walk) + 1;
  while (level-- > 0) {
    unsigned at = walk->level[level].at;
    bool more = towards == LAST ? at + 1 < page_count(walk->level[level].page) : at > 0;
    if (!more)
      continue;
    walk->level[level].at = towards == LAST ? at + 1 : at - 1;
    *ret_there = true;
    return descend_to(walk, level, towards == LAST ? FIRST : LAST);
  }
  *ret_there = false;
  return HF_OK;
}

/* The first entry from from on whose key is at key or after it; the count where there is none. */
static unsigned lower_bound(const struct walk *walk, const uint8_t *page, unsigned from, struct hf_slice key)
{
  unsigned low = from, high = page_count(page);
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (page_compare(walk->tree.numbers, page_key(page, middle), key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The child in which a key would lie: the last that begins at it or before. */
static unsigned child_for(const struct walk *walk, const uint8_t *branch, struct hf_slice key)
{
  unsigned at = lower_bound(walk, branch, 1, key);
  return at < page_count(branch) && page_compare(walk->tree.numbers, page_key(branch, at), key) == 0 ? at : at - 1;
}

/*
 * Where the key would be its leaf's first, a branch may have led here by a key that was made smaller: checking the leaf before,
 * whose keys must lie below that, tells.
 */
static hf_err check_before(const struct walk *walk)
{
  struct walk before = *walk;
  bool there = false;
  return walk->level[leaf_level(walk)].at == 0 ? step(&before, FIRST, &there) : HF_OK;
}

hf_err walk_seek(struct pages *pages, const struct snapshot *snapshot, const struct tree *tree, struct hf_slice key,
                 struct walk *walk, bool *ret_there)
{
  walk->pages = pages;
  walk->end = snapshot->end;
  walk->writes = snapshot->writes;
  walk->tree = *tree;
  *ret_there = false;
  if (tree->root == PAGE_NONE)
    return HF_OK;
  HF_TRY(enter_root(walk));
  if (key.len == 0) {
    *ret_there = true;
    return descend_to(walk, 0, FIRST);
  }
  for (unsigned level = 0; level < leaf_level(walk); level++) {
    walk->level[level].at = child_for(walk, walk->level[level].page, key);
    HF_TRY(descend(walk, level));
  }
  const uint8_t *leaf = walk->level[leaf_level(walk)].page;
  unsigned at = lower_bound(walk, leaf, 0, key);
  walk->level[leaf_level(walk)].at = at;
  HF_TRY(check_before(walk));
  *ret_there = true;
  if (at < page_count(leaf))
    return HF_OK;
  walk->level[leaf_level(walk)].at = at - 1;
  return step(walk, LAST, ret_there);
}

hf_err walk_next(struct walk *walk, bool *ret_there)
{
  return step(walk, LAST, ret_there);
}

struct hf_slice walk_key(const struct walk *walk)
{
  return page_key(walk->level[leaf_level(walk)].page, walk->level[leaf_level(walk)].at);
}

hf_err walk_value(const struct walk *walk, struct hf_slice *ret_value)
{
  struct pages *pages = walk->pages;
  struct page_entry entry = page_entry(walk->level[leaf_level(walk)].page, walk->level[leaf_level(walk)].at);
  if (entry.value.data) {
    *ret_value = entry.value;
    return HF_OK;
  }
  size_t first = entry.overflow, count = page_overflow_pages(entry.value.len, pages->page_bytes);
  if (count > walk->end || first > walk->end - count || !is_there(pages, first, count))
    return damaged(pages, first, "is missing");
  const uint8_t *page = pages->map + first * pages->page_bytes;
  if (walk->writes && is_free(pages, first))
    return used_and_free(pages, first);
  const char *fault = page_overflow_fault(page, pages->page_bytes, first, walk->end, entry.value.len);
  if (fault)
    return damaged(pages, first, fault);
  *ret_value = page_overflow_value(page, entry.value.len);
  return HF_OK;
}

/* Snapshots */

static hf_err find_tables(struct pages *pages, struct snapshot *snapshot)
{
  for (size_t i = 0; i < STORE_TABLES_MAX && pages->kind->tables[i]; i++) {
    struct walk walk = { 0 };
    bool there = false;
    const char *name = pages->kind->tables[i];
    struct hf_slice key = hf_slice(name, strlen(name)), value = { 0 };
    HF_TRY(walk_seek(pages, snapshot, &snapshot->main, key, &walk, &there));
    if (!there || !hf_slice_equal(walk_key(&walk), key))
      return hf_fail(pages->kind->damaged, "%s/data.mdb: the table %s is missing", pages->dir, name);
    HF_TRY(walk_value(&walk, &value));
    if (!page_table(value, snapshot->end, &snapshot->tables[i]))
      return hf_fail(pages->kind->damaged, "%s/data.mdb: the table %s", pages->dir, name);
    snapshot->tables[i].sound = pages->kind->sound[i];
  }
  return HF_OK;
}

/* Transaction N is told of by page N % 2 until N + 2 begins to be written, for which N + 1 must be there. */
hf_err pages_snapshot(struct pages *pages, size_t txn, bool *ret_late, struct snapshot *ret_snapshot)
{
  struct page_meta meta = { 0 };
  size_t number = txn % PAGE_METAS, other = 1 - number;
  enum page_verdict verdict = page_meta_read(pages->map + number * pages->page_bytes, number, &meta);
  *ret_late = page_meta_txn(pages->map + other * pages->page_bytes) > txn ||
              page_meta_txn(pages->map + number * pages->page_bytes) > txn;
  if (*ret_late)
    return HF_OK;
  if (verdict != PAGE_GOOD || meta.txn != txn || meta.page_bytes != pages->page_bytes)
    return head_fault(pages, verdict);
  struct snapshot snapshot = { .txn = txn, .end = meta.last + 1, .free = meta.free, .main = meta.main };
  HF_TRY(find_tables(pages, &snapshot));
  *ret_snapshot = snapshot;
  return HF_OK;
}

/* Before a write */

/* The pages beside the way, as far as LMDB may merge them with those on it, down to each one's first leaf. */
static hf_err check_beside(const struct walk *walk, unsigned level)
{
  enum { BESIDE = 2 };
  unsigned at = walk->level[level].at, count = page_count(walk->level[level].page);
  unsigned last = at + BESIDE < count ? at + BESIDE : count - 1;
  struct walk beside = *walk;
  for (unsigned i = at > BESIDE ? at - BESIDE : 0; i <= last; i++) {
    beside.level[level].at = i;
    HF_TRY(descend_to(&beside, level, FIRST));
  }
  return HF_OK;
}

hf_err pages_check_key(struct pages *pages, const struct snapshot *snapshot, unsigned table, struct hf_slice key)
{
  struct walk walk = { 0 };
  struct hf_slice value = { 0 };
  bool there = false;
  HF_TRY(walk_seek(pages, snapshot, &snapshot->tables[table], key, &walk, &there));
  if (there && hf_slice_equal(walk_key(&walk), key))
    HF_TRY(walk_value(&walk, &value));
  for (unsigned level = 0; level + 1 < walk.tree.depth; level++)
    HF_TRY(check_beside(&walk, level));
  return HF_OK;
}

static hf_err check_all(struct pages *pages, const struct snapshot *snapshot, const struct tree *tree,
                        hf_err (*check)(struct pages *pages, const struct snapshot *snapshot, struct hf_slice value))
{
  struct walk walk = { 0 };
  struct hf_slice value = { 0 };
  bool there = false;
  HF_TRY(walk_seek(pages, snapshot, tree, hf_slice(NULL, 0), &walk, &there));
  while (there) {
    HF_TRY(walk_value(&walk, &value));
    HF_TRY(check(pages, snapshot, value));
    HF_TRY(walk_next(&walk, &there));
  }
  return HF_OK;
}

static hf_err any_value(struct pages *pages, const struct snapshot *snapshot, struct hf_slice value)
{
  (void)pages;
  (void)snapshot;
  (void)value;
  return HF_OK;
}

hf_err pages_check_table(struct pages *pages, const struct snapshot *snapshot, unsigned table)
{
  return check_all(pages, snapshot, &snapshot->tables[table], any_value);
}

static size_t number_at(struct hf_slice value, size_t i)
{
  size_t number;
  memcpy(&number, value.data + i * sizeof(number), sizeof(number));
  return number;
}

/* How many there are, then their numbers, falling. */
static hf_err free_value(struct pages *pages, const struct snapshot *snapshot, struct hf_slice value)
{
  size_t room = value.len / sizeof(size_t), count = room ? number_at(value, 0) : 0;
  bool good = room > 0 && count < room;
  for (size_t i = 1; good && i <= count; i++) {
    size_t number = number_at(value, i);
    good =
        number >= PAGE_METAS && number < (i > 1 ? number_at(value, i - 1) : snapshot->end) && !is_free(pages, number);
    if (good)
      pages->free[number / WORD_BITS] |= UINT64_C(1) << number % WORD_BITS;
  }
  return good ? HF_OK : hf_fail(pages->kind->damaged, "%s/data.mdb: its list of free pages", pages->dir);
}

/* Twice: what leads to the list and to the tables must not be on it itself. */
hf_err pages_check_free(struct pages *pages, struct snapshot *snapshot)
{
  memset(pages->free, 0, (snapshot->end / WORD_BITS + 1) * sizeof(*pages->free));
  HF_TRY(check_all(pages, snapshot, &snapshot->free, free_value));
  snapshot->writes = true;
  HF_TRY(check_all(pages, snapshot, &snapshot->free, any_value));
  return find_tables(pages, snapshot);
}
