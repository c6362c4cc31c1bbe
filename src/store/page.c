/* SPDX-License-Identifier: Apache-2.0 */
#include "store/page.h"

#include <string.h>

#define MAGIC UINT32_C(0xBEEFC0DE)

enum { FORMAT = 1, KEY_MAX = 511, NODE_BIG = 0x01, NODE_TABLE = 0x02, TREE_NUMBERS = 0x08 };

struct head {
  size_t number;
  uint16_t pad, flags;
  union {
    struct {
      uint16_t lower, upper; /* the free room: behind the offsets of the entries, before the entries */
    };
    uint32_t pages; /* of a value on pages of its own */
  };
};

struct node {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint16_t low, high; /* of the value's length, or the child's number */
#else
  uint16_t high, low;
#endif
  uint16_t flags, key_len;
};

struct tree_record {
  uint32_t pad;
  uint16_t flags, depth;
  size_t branches, leaves, overflows, entries, root;
};

struct meta {
  uint32_t magic, format;
  void *address;
  size_t map_bytes;
  struct tree_record free, main;
  size_t last, txn;
};

enum { HEAD = sizeof(struct head), NODE = sizeof(struct node), OFFSET = sizeof(uint16_t) };

static struct head head_of(const uint8_t *page)
{
  struct head head;
  memcpy(&head, page, sizeof(head));
  return head;
}

static size_t offset_of(const uint8_t *page, unsigned i)
{
  uint16_t offset;
  memcpy(&offset, page + HEAD + i * OFFSET, sizeof(offset));
  return offset;
}

static struct node node_of(const uint8_t *page, unsigned i)
{
  struct node node;
  memcpy(&node, page + offset_of(page, i), sizeof(node));
  return node;
}

static size_t value_len(struct node node)
{
  return node.low | (size_t)node.high << 16;
}

static size_t child_of(struct node node)
{
  return node.low | (size_t)node.high << 16 | (sizeof(size_t) > 4 ? (size_t)((uint64_t)node.flags << 32) : 0);
}

static size_t even(size_t len)
{
  return (len + 1) & ~(size_t)1;
}

/* Metas and trees */

static bool take_tree(const struct tree_record *record, size_t end, struct tree *ret_tree)
{
  *ret_tree = (struct tree){
    .root = record->root, .depth = record->depth, .entries = record->entries, .numbers = record->flags & TREE_NUMBERS
  };
  if (record->root == PAGE_NONE)
    return record->depth == 0;
  return record->root >= PAGE_METAS && record->root < end && record->depth > 0 && record->depth <= PAGE_DEPTH_MAX;
}

enum page_verdict page_meta_read(const uint8_t *bytes, size_t number, struct page_meta *ret_meta)
{
  struct head head = head_of(bytes);
  struct meta meta;
  memcpy(&meta, bytes + HEAD, sizeof(meta));
  if (head.number != number || head.flags != PAGE_META || meta.magic != MAGIC)
    return PAGE_DAMAGED;
  if (meta.format != FORMAT)
    return PAGE_NEWER;
  size_t size = meta.free.pad;
  bool good = size >= PAGE_SMALLEST && size <= PAGE_LARGEST && (size & (size - 1)) == 0 &&
              meta.free.flags == TREE_NUMBERS && meta.main.flags == 0 && meta.last >= PAGE_METAS - 1 &&
              meta.last < SIZE_MAX / size - 1 && (meta.txn == 0 || meta.txn % PAGE_METAS == number);
  *ret_meta = (struct page_meta){ .page_bytes = size, .last = meta.last, .txn = meta.txn };
  if (!good || !take_tree(&meta.free, meta.last + 1, &ret_meta->free) ||
      !take_tree(&meta.main, meta.last + 1, &ret_meta->main))
    return PAGE_DAMAGED;
  return PAGE_GOOD;
}

size_t page_meta_txn(const uint8_t *bytes)
{
  size_t txn;
  memcpy(&txn, bytes + HEAD + offsetof(struct meta, txn), sizeof(txn));
  return txn;
}

bool page_table(struct hf_slice value, size_t end, struct tree *ret_tree)
{
  struct tree_record record;
  if (value.len != sizeof(record))
    return false;
  memcpy(&record, value.data, sizeof(record));
  return record.flags == 0 && take_tree(&record, end, ret_tree);
}

/* Branches and leaves */

int page_compare(bool numbers, struct hf_slice a, struct hf_slice b)
{
  if (numbers) {
    size_t x, y;
    memcpy(&x, a.data, sizeof(x));
    memcpy(&y, b.data, sizeof(y));
    return (x > y) - (x < y);
  }
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len ? memcmp(a.data, b.data, len) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

unsigned page_count(const uint8_t *page)
{
  return ((unsigned)head_of(page).lower - HEAD) / OFFSET;
}

struct hf_slice page_key(const uint8_t *page, unsigned i)
{
  return hf_slice(page + offset_of(page, i) + NODE, node_of(page, i).key_len);
}

size_t page_child(const uint8_t *branch, unsigned i)
{
  return child_of(node_of(branch, i));
}

static size_t overflow_of(const uint8_t *at)
{
  size_t number;
  memcpy(&number, at, sizeof(number));
  return number;
}

struct page_entry page_entry(const uint8_t *leaf, unsigned i)
{
  struct node node = node_of(leaf, i);
  const uint8_t *value = leaf + offset_of(leaf, i) + NODE + node.key_len;
  if (node.flags & NODE_BIG)
    return (struct page_entry){ { NULL, value_len(node) }, overflow_of(value) };
  return (struct page_entry){ { value, value_len(node) }, 0 };
}

/* How many bytes an entry takes; 0 where it reaches beyond the page, or leads out of the file. */
static size_t node_bytes(const uint8_t *page, size_t page_bytes, unsigned i, const struct page_claim *claim)
{
  size_t offset = offset_of(page, i), room = page_bytes - offset;
  struct node node = node_of(page, i);
  size_t bytes = NODE + (size_t)node.key_len;
  if (claim->kind == PAGE_BRANCH) {
    size_t child = child_of(node);
    return bytes <= room && child >= PAGE_METAS && child < claim->end ? bytes : 0;
  }
  bool big = node.flags & NODE_BIG;
  bytes += big ? sizeof(size_t) : value_len(node);
  if (bytes > room || (node.flags | NODE_BIG | NODE_TABLE) != (NODE_BIG | NODE_TABLE) || node.key_len == 0)
    return 0;
  size_t overflow = big ? overflow_of(page + offset + NODE + node.key_len) : PAGE_METAS;
  return overflow >= PAGE_METAS && overflow < claim->end ? bytes : 0;
}

/* The first key of a branch stands for all that come before the second: it is empty, or says nothing. */
static bool key_fits(const uint8_t *page, unsigned i, const struct page_claim *claim)
{
  bool first_of_branch = claim->kind == PAGE_BRANCH && i == 0;
  struct hf_slice key = page_key(page, i);
  if (first_of_branch)
    return true;
  bool numbers = claim->tree->numbers, compared = claim->kind == PAGE_BRANCH ? i > 1 : i > 0;
  if (key.len > KEY_MAX || (numbers && key.len != sizeof(size_t)))
    return false;
  return (!compared || page_compare(numbers, page_key(page, i - 1), key) < 0) &&
         (!claim->low.data || page_compare(numbers, claim->low, key) <= 0) &&
         (!claim->below.data || page_compare(numbers, key, claim->below) < 0);
}

static bool entry_sound(const uint8_t *page, unsigned i, const struct page_claim *claim)
{
  if (claim->kind != PAGE_LEAF || !claim->tree->sound)
    return true;
  struct hf_slice value = page_entry(page, i).value;
  return value.data && claim->tree->sound(page_key(page, i), value);
}

bool page_is(const uint8_t *page, size_t number, unsigned kind)
{
  struct head head = head_of(page);
  return head.number == number && head.flags == kind;
}

const char *page_fault(const uint8_t *page, size_t page_bytes, const struct page_claim *claim)
{
  struct head head = head_of(page);
  size_t used = 0;
  if (!page_is(page, claim->number, claim->kind))
    return "is not the page that it should be";
  if (head.lower < HEAD || head.lower % OFFSET || head.lower > head.upper || head.upper > page_bytes)
    return "has a damaged head";
  unsigned count = page_count(page);
  if (count < (claim->kind == PAGE_BRANCH ? 2 : 1))
    return "is empty";
  for (unsigned i = 0; i < count; i++) {
    size_t offset = offset_of(page, i);
    if (offset < head.upper || offset % 2 || offset > page_bytes - NODE)
      return "has an entry outside of it";
    size_t bytes = node_bytes(page, page_bytes, i, claim);
    if (!bytes)
      return "has a damaged entry";
    used += even(bytes);
    if (!key_fits(page, i, claim))
      return "has a key in the wrong place";
    if (!entry_sound(page, i, claim))
      return "has an entry with a wrong checksum";
  }
  return used == page_bytes - head.upper ? NULL : "has entries that do not fill it";
}

/* Values on pages of their own */

size_t page_overflow_pages(size_t len, size_t page_bytes)
{
  return (HEAD - 1 + len) / page_bytes + 1;
}

const char *page_overflow_fault(const uint8_t *page, size_t page_bytes, size_t number, size_t end, size_t len)
{
  struct head head = head_of(page);
  if (!page_is(page, number, PAGE_OVERFLOW))
    return "is not the page that it should be";
  return head.pages >= page_overflow_pages(len, page_bytes) && head.pages <= end - number ? NULL : "has a damaged head";
}

struct hf_slice page_overflow_value(const uint8_t *page, size_t len)
{
  return hf_slice(page + HEAD, len);
}
