/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known answers out of tests/vectors/FOLDER/NAME: paragraphs of "name = value". One that begins with "key" is a key, which others
 * name by "with"; one that begins with "test" is a test. Bytes are lower-case hex.
 */
#ifndef HF_TESTS_VECTORS_H
#define HF_TESTS_VECTORS_H

#include "hf_test.h"

#include "base/buf.h"

#include <stdlib.h>

enum { VECTOR_FIELDS = 24, VECTOR_BYTES = 64 << 10 };

struct vector {
  size_t line;
  size_t count;
  struct {
    const char *name, *value;
  } fields[VECTOR_FIELDS];
};

struct vectors {
  char *text;
  struct vector *v;
  size_t count;
};

/* NULL where it has none. */
static inline const char *vector_field(const struct vector *v, const char *name)
{
  for (size_t i = 0; i < v->count; i++)
    if (strcmp(v->fields[i].name, name) == 0)
      return v->fields[i].value;
  return NULL;
}

/* Empty where it has none. The caller's. */
static inline struct hf_buf vector_bytes(const struct vector *v, const char *name)
{
  struct hf_buf buf = HF_BUF(VECTOR_BYTES);
  const char *hex = vector_field(v, name);
  if (hex && hf_failed(hf_hex_decode(hex, &buf)))
    fail_msg("line %zu: %s is no hex", v->line, name);
  return buf;
}

static inline char *vectors_text(const char *folder, const char *name)
{
  char path[1024];
  snprintf(path, sizeof(path), "%s/tests/vectors/%s/%s", getenv("HF_SOURCE"), folder, name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_int_equal(0, fseek(f, 0, SEEK_END));
  long size = ftell(f);
  rewind(f);
  char *text = malloc((size_t)size + 1);
  assert_non_null(text);
  assert_int_equal((size_t)size, fread(text, 1, (size_t)size, f));
  text[size] = '\0';
  fclose(f);
  return text;
}

static inline void vector_add(struct vector *v, char *line)
{
  char *equals = strstr(line, " =");
  assert_non_null(equals);
  assert_true(v->count < VECTOR_FIELDS);
  *equals = '\0';
  v->fields[v->count].name = line;
  v->fields[v->count++].value = equals[2] == ' ' ? equals + 3 : equals + 2;
}

static inline struct vectors vectors_read(const char *folder, const char *name)
{
  struct vectors all = { vectors_text(folder, name), NULL, 0 };
  size_t number = 0;
  bool open = false;
  for (char *line = all.text, *end; *line; line = end) {
    end = line + strcspn(line, "\n");
    if (*end)
      *end++ = '\0';
    number++;
    if (*line == '#' || *line == '\0') {
      open = false;
      continue;
    }
    if (!open) {
      all.v = realloc(all.v, (all.count + 1) * sizeof(*all.v));
      assert_non_null(all.v);
      all.v[all.count++] = (struct vector){ .line = number };
      open = true;
    }
    vector_add(&all.v[all.count - 1], line);
  }
  return all;
}

/* The key that a test names. */
static inline const struct vector *vectors_key(const struct vectors *all, const struct vector *test)
{
  const char *with = vector_field(test, "with");
  for (size_t i = 0; with && i < all->count; i++) {
    const char *key = vector_field(&all->v[i], "key");
    if (key && strcmp(key, with) == 0)
      return &all->v[i];
  }
  fail_msg("line %zu: no key", test->line);
  return NULL;
}

static inline void vectors_free(struct vectors *all)
{
  free(all->v);
  free(all->text);
}

#endif
