/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a token's store holds, decoded. The first byte picks: LMDB's file, all of whose pages are walked; a record, with its checksum or
 * with one that is made right; a header likewise; attributes. Nothing may crash, and attributes that pass must be walked to their end.
 */
#include "store/tree.h"
#include "token/store/header.h"
#include "token/store/record.h"

#include <limits.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHECKSUM = 8, MAP = 1 << 20, INPUT_MAX = 1 << 16, MOST = 10000 };

/* Of all that a walk may read. */
static volatile uint8_t read_sum;

static hf_err walk_tree(struct pages *pages, const struct snapshot *snapshot, const struct tree *tree)
{
  struct walk walk;
  struct hf_slice value;
  bool there;
  unsigned count = 0;
  HF_TRY(walk_seek(pages, snapshot, tree, hf_slice(NULL, 0), &walk, &there));
  while (there) {
    HF_TRY(walk_value(&walk, &value));
    for (size_t i = 0; i < value.len; i++)
      read_sum ^= value.data[i];
    if (++count > MOST)
      abort();
    HF_TRY(walk_next(&walk, &there));
  }
  return HF_OK;
}

static hf_err walk_file(const char *dir)
{
  struct pages *pages;
  struct snapshot snapshot;
  bool late = false;
  HF_TRY(pages_open(&token_store_kind, dir, MAP, &pages));
  hf_err e = HF_OK;
  for (size_t txn = 0; txn < 8; txn++) {
    e = pages_snapshot(pages, txn, &late, &snapshot);
    if (hf_failed(e) || late)
      continue;
    hf_ignore(walk_tree(pages, &snapshot, &snapshot.main));
    for (unsigned table = STORE_META; table <= STORE_INDEX; table++) {
      hf_ignore(walk_tree(pages, &snapshot, &snapshot.tables[table]));
      hf_ignore(pages_check_key(pages, &snapshot, table, hf_slice("\0\0\0\0\0\0\0\5", 8)));
    }
    hf_ignore(pages_check_free(pages, &snapshot));
  }
  pages_close(pages);
  return e;
}

static void file_of(struct hf_slice in)
{
  char dir[] = "/tmp/hf-fuzz-store-XXXXXX", path[PATH_MAX];
  if (!mkdtemp(dir))
    abort();
  snprintf(path, sizeof(path), "%s/data.mdb", dir);
  FILE *file = fopen(path, "w");
  if (!file || (in.len && fwrite(in.data, 1, in.len, file) != in.len) || fclose(file) != 0)
    abort();
  hf_ignore(walk_file(dir));
  unlink(path);
  rmdir(dir);
}

static void attributes(struct hf_slice in)
{
  size_t pos = 0;
  struct attr_row row;
  struct attrs attrs = ATTRS_EMPTY;
  if (hf_failed(attrs_check(in)) || hf_failed(hf_buf_add(&attrs.rows, in.data, in.len)))
    return;
  while (attrs_next(&attrs, &pos, &row))
    if (row.value.len > in.len)
      abort();
  if (pos != in.len)
    abort();
  attrs_free(&attrs);
}

static void record(struct hf_slice in)
{
  struct record record;
  const uint8_t uuid[TOKEN_UUID_BYTES] = { 0 }, key[CRYPTO_KEY_BYTES] = { 0 };
  const struct seal open = { .uuid = uuid }, user = { .uuid = uuid, .key = key, .index_key = key };
  if (hf_failed(record_parse(in, &record)))
    return;
  for (enum record_section section = RECORD_OPEN; section <= RECORD_SECRET; section++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(ATTRS_MAX_BYTES);
    hf_ignore(record_unseal(&open, 1, &record, section, &out));
    hf_ignore(record_unseal(&user, 1, &record, section, &out));
  }
}

static void header(struct hf_slice in)
{
  struct header header;
  if (!hf_failed(header_parse(in, &header)) && header_label_len(&header) > LABEL_BYTES)
    abort();
}

/* As it is, and with a checksum that is right: else none but the seeds would pass. */
static void with_checksum(struct hf_slice in, void (*decode)(struct hf_slice in))
{
  static uint8_t bytes[INPUT_MAX + CHECKSUM];
  uint8_t sum[32];
  decode(in);
  if (in.len > INPUT_MAX || hf_failed(crypto_mac(NULL, in, sum)))
    return;
  if (in.len)
    memcpy(bytes, in.data, in.len);
  memcpy(bytes + in.len, sum, CHECKSUM);
  decode(hf_slice(bytes, in.len + CHECKSUM));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static bool up;
  if (!up && hf_failed(crypto_start()))
    abort();
  up = true;
  if (size < 1)
    return 0;
  struct hf_slice in = hf_slice(data + 1, size - 1);
  switch (data[0] % 4) {
  case 0:
    file_of(in);
    break;
  case 1:
    with_checksum(in, record);
    break;
  case 2:
    with_checksum(in, header);
    break;
  default:
    attributes(in);
  }
  return 0;
}
