/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/latency.h"

#include <ctype.h>
#include <string.h>

enum { ITEM_MAX = 96 };

static hf_err parse_row(char *item, struct latency_row *ret_row)
{
  struct latency_row row = { "", "", 0, 0 };
  char *time = strchr(item, '=');
  if (!time)
    return word_bad(item, "FUNCTION=TIME, like C_Sign=20ms, C_Sign/RSA-2048=120ms-200ms or *=2ms");
  *time++ = '\0';
  char *key = strchr(item, '/');
  if (key)
    *key++ = '\0';
  if (strcmp(item, "*") != 0 && !word_is_function(item))
    return word_bad(item, "a function of PKCS #11, or *");
  if (key && !word_is_key(key))
    return word_bad(key, "a kind of key, like RSA, RSA-2048, P-256 or Ed25519");
  HF_TRY(word_duration_range(time, &row.min, &row.max));
  snprintf(row.function, sizeof(row.function), "%s", item);
  snprintf(row.key, sizeof(row.key), "%s", key ? key : "");
  *ret_row = row;
  return HF_OK;
}

/* One item of a list with commas, without the blanks around it; false at the end. */
static bool next_item(const char **text, char *item, size_t size)
{
  while (isspace((unsigned char)**text))
    (*text)++;
  if (!**text)
    return false;
  size_t len = strcspn(*text, ",");
  snprintf(item, size, "%.*s", (int)len, *text);
  size_t end = strlen(item);
  while (end > 0 && isspace((unsigned char)item[end - 1]))
    item[--end] = '\0';
  *text += len + ((*text)[len] == ',');
  return true;
}

hf_err latency_parse(const char *text, struct latency *latency)
{
  char item[ITEM_MAX];
  size_t count = latency->count;
  while (next_item(&text, item, sizeof(item))) {
    if (count == LATENCY_ROWS_MAX)
      return hf_fail(HF_ERR_LIMIT, "more than %d latencies", LATENCY_ROWS_MAX);
    HF_TRY(parse_row(item, &latency->rows[count]));
    count++;
  }
  latency->count = count;
  return HF_OK;
}

/* 0: does not fit. */
static unsigned fits(const struct latency_row *row, const char *function, const char *key)
{
  bool any = strcmp(row->function, "*") == 0;
  if ((any && word_is_local(function)) || (!any && strcmp(row->function, function) != 0))
    return 0;
  if (row->key[0] && !word_matches_key(row->key, key))
    return 0;
  unsigned exact = strcmp(row->key, key) == 0;
  return 1U + (any ? 0U : 4U) + (row->key[0] ? 1U + exact : 0U);
}

const struct latency_row *latency_find(const struct latency *latency, const char *function, const char *key)
{
  const struct latency_row *best = NULL;
  unsigned most = 0;
  for (size_t i = 0; i < latency->count; i++) {
    unsigned fit = fits(&latency->rows[i], function, key);
    if (fit && fit >= most) {
      most = fit;
      best = &latency->rows[i];
    }
  }
  return best;
}
