/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB's pages as they lie in its file (format 1, which all of 0.9 writes), and whether one is what it should be: LMDB itself
 * trusts them, and crashes on one that a broken disk changed. Inside src/store only.
 */
#ifndef HF_STORE_PAGE_H
#define HF_STORE_PAGE_H

#include "base/buf.h"

enum { PAGE_BRANCH = 0x01, PAGE_LEAF = 0x02, PAGE_OVERFLOW = 0x04, PAGE_META = 0x08 };

enum { PAGE_METAS = 2, PAGE_SMALLEST = 512, PAGE_LARGEST = 32768, PAGE_DEPTH_MAX = 32 };

/* The root of an empty tree. */
#define PAGE_NONE SIZE_MAX

struct tree {
  size_t root;
  unsigned depth; /* levels, the leaves included */
  size_t entries;
  bool numbers; /* the keys are size_t, compared as such: the free list's */
  bool (*sound)(struct hf_slice key, struct hf_slice value); /* see struct store_kind */
};

/* One of the two pages at the file's beginning, which LMDB's commits write in turn. */
struct page_meta {
  size_t page_bytes;
  size_t last; /* page in use */
  size_t txn;
  struct tree free, main;
};

enum page_verdict { PAGE_DAMAGED, PAGE_NEWER, PAGE_GOOD };

/* bytes: from the page's begin on, PAGE_SMALLEST of them; number: 0 or 1. */
enum page_verdict page_meta_read(const uint8_t *bytes, size_t number, struct page_meta *ret_meta);
/* The transaction that it tells of, whatever else it says. */
size_t page_meta_txn(const uint8_t *bytes);

/* What a page must be, by the one that leads to it. */
struct page_claim {
  size_t number;
  size_t end; /* all pages' numbers are below */
  unsigned kind;
  const struct tree *tree;
  struct hf_slice low, below; /* keys are at or after low and before below; data NULL: no such bound */
};

/* What is wrong with a branch or leaf of page_bytes; NULL: nothing, and page_count, page_key and the others may be used. */
const char *page_fault(const uint8_t *page, size_t page_bytes, const struct page_claim *claim);

/* Whether the head says so; cheap. */
bool page_is(const uint8_t *page, size_t number, unsigned kind);

/* A value on pages of its own, of value_len bytes: how many it takes, and what is wrong with the first of them. */
size_t page_overflow_pages(size_t value_len, size_t page_bytes);
const char *page_overflow_fault(const uint8_t *page, size_t page_bytes, size_t number, size_t end, size_t value_len);

unsigned page_count(const uint8_t *page);
struct hf_slice page_key(const uint8_t *page, unsigned i);
size_t page_child(const uint8_t *branch, unsigned i);

/* A leaf's entry. Where its value lies on pages of its own, overflow is the first of them and value.data is NULL. */
struct page_entry {
  struct hf_slice value;
  size_t overflow;
};
struct page_entry page_entry(const uint8_t *leaf, unsigned i);
struct hf_slice page_overflow_value(const uint8_t *page, size_t value_len);

/* The tree that an entry of the main tree tells of; false where it is none of ours. */
bool page_table(struct hf_slice value, size_t end, struct tree *ret_tree);

int page_compare(bool numbers, struct hf_slice a, struct hf_slice b);

#endif
