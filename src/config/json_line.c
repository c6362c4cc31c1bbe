/* SPDX-License-Identifier: Apache-2.0 */
#include "config/json_line.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

/* rest: what of the path is to be found inside the innermost object; NULL within what the path does not lead through. */
struct scan {
  const char *at, *end;
  unsigned line;
  unsigned found; /* the line of the deepest key that was found */
  size_t left;    /* how much of the path its object would still have to have */
  unsigned depth;
  const char *rest[DEPTH_MAX];
};

/* Past the string that begins here; without its quotes. */
static struct hf_slice take_string(struct scan *scan)
{
  const char *start = ++scan->at;
  while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\n')
    scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
  struct hf_slice string = hf_slice(start, (size_t)(scan->at - start));
  if (scan->at < scan->end && *scan->at == '"')
    scan->at++;
  return string;
}

/* What follows key in the path, "" at its end; NULL where the path does not begin with it. */
static const char *after(const char *path, struct hf_slice key)
{
  if (!path || key.len == 0 || strlen(path) < key.len || memcmp(path, key.data, key.len) != 0)
    return NULL;
  const char *rest = path + key.len;
  return *rest == '\0' ? rest : *rest == '.' ? rest + 1 : NULL;
}

static bool is_key(struct scan *scan)
{
  const char *at = scan->at;
  while (at < scan->end && strchr(" \t\r\n", *at) && *at)
    at++;
  return at < scan->end && *at == ':';
}

/* The path into the value of the key that was read last. */
static const char *see_string(struct scan *scan, const char *inside)
{
  struct hf_slice string = take_string(scan);
  if (!is_key(scan))
    return inside;
  const char *rest = after(scan->rest[scan->depth], string);
  if (rest && strlen(rest) < scan->left) {
    scan->found = scan->line;
    scan->left = strlen(rest);
  }
  return rest;
}

unsigned json_line(struct hf_slice text, const char *path)
{
  struct scan scan = { .at = (const char *)text.data, .line = 1, .found = 1, .left = SIZE_MAX };
  const char *inside = path;
  scan.end = scan.at + text.len;
  while (scan.at < scan.end && scan.left > 0) {
    char c = *scan.at;
    if (c == '"') {
      inside = see_string(&scan, inside);
      continue;
    }
    if ((c == '{' || c == '[') && ++scan.depth == DEPTH_MAX)
      break;
    if (c == '[')
      inside = NULL;
    if (c == '{' || c == '[')
      scan.rest[scan.depth] = inside;
    else if ((c == '}' || c == ']') && scan.depth > 0)
      scan.depth--;
    else if (c == '\n')
      scan.line++;
    scan.at++;
  }
  return scan.found;
}
