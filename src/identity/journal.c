/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/journal.h"

#include "base/file.h"

#include <sys/stat.h>

enum { JOURNAL_FILE_MAX = (JOURNAL_DISCARD_MAX + 4) * (URI_MAX + 64) };

static const char header[] = "holdfast-renewal 1";

static const char *const stages[JOURNAL_STAGE_COUNT] = {
  [JOURNAL_IDLE] = "idle",
  [JOURNAL_TRYING] = "trying",
  [JOURNAL_COMMITTING] = "committing",
};

/* A line "name value" each. */
static const struct field_row {
  const char *name;
  size_t offset;
} fields[] = {
  { "old-key", offsetof(struct journal, old_key) },
  { "new-key", offsetof(struct journal, new_key) },
  { "digest", offsetof(struct journal, digest) },
  { "previous", offsetof(struct journal, previous) },
};

static struct hf_buf *field_of(struct journal *journal, const struct field_row *row)
{
  return (struct hf_buf *)(void *)((char *)journal + row->offset);
}

void journal_free(struct journal *journal)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
    hf_buf_free(field_of(journal, &fields[i]));
  hf_buf_free(&journal->discard);
}

static hf_err beside(const char *certificate, const char *suffix, char out[PATH_MAX])
{
  int len = snprintf(out, PATH_MAX, "%s%s", certificate, suffix);
  return len > 0 && len < PATH_MAX ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s...", certificate);
}

hf_err journal_paths(const struct config *config, struct journal_paths *ret_paths)
{
  const char *certificate = config_get(config, CONFIG_DEVICE_CERT_PATH);
  if (!certificate || certificate[0] != '/')
    return hf_hint(hf_fail(HF_ERR_CONFIG, "device.cert_path is no file's path"),
                   "A certificate that is to be renewed lies in a file: set device.cert_path to where it is.");
  HF_TRY(beside(certificate, "", ret_paths->certificate));
  HF_TRY(beside(certificate, ".new", ret_paths->staged));
  HF_TRY(beside(certificate, ".renewal", ret_paths->journal));
  return beside(certificate, ".lock", ret_paths->lock);
}

hf_err journal_set(struct hf_buf *field, const char *text)
{
  hf_buf_free(field);
  return text ? hf_buf_add_str(field, text) : HF_OK;
}

bool journal_next_discard(const struct journal *journal, const char **at, char out[URI_MAX + 1])
{
  const char *end = (const char *)journal->discard.data + journal->discard.len;
  if (!*at)
    *at = (const char *)journal->discard.data;
  const char *stop = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
  if (!stop)
    return false;
  snprintf(out, URI_MAX + 1, "%.*s", (int)(stop - *at), *at);
  *at = stop + 1;
  return true;
}

hf_err journal_add_discard(struct journal *journal, const char *uri)
{
  char one[URI_MAX + 1];
  const char *at = NULL;
  size_t count = 0;
  while (journal_next_discard(journal, &at, one)) {
    if (strcmp(one, uri) == 0)
      return HF_OK;
    count++;
  }
  if (count == JOURNAL_DISCARD_MAX || strlen(uri) > URI_MAX)
    return hf_hint(hf_fail(HF_ERR_LIMIT, "%zu keys of renewals that failed wait to be deleted", count),
                   "Look with 'holdfast key list', delete what is not used, and see why the HSM did not.");
  return hf_buf_addf(&journal->discard, "%s\n", uri);
}

static hf_err take_stage(const char *value, struct journal *journal)
{
  for (enum journal_stage stage = 0; stage < JOURNAL_STAGE_COUNT; stage++)
    if (strcmp(value, stages[stage]) == 0) {
      journal->stage = stage;
      return HF_OK;
    }
  return hf_fail(HF_ERR_PARSE, "no stage is named '%.32s'", value);
}

static hf_err take_line(char *line, struct journal *journal)
{
  char *value = strchr(line, ' ');
  if (!value || !value[1])
    return hf_fail(HF_ERR_PARSE, "a line without a value");
  *value++ = '\0';
  if (strcmp(line, "stage") == 0)
    return take_stage(value, journal);
  if (strcmp(line, "discard") == 0)
    return journal_add_discard(journal, value);
  for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
    if (strcmp(line, fields[i].name) == 0)
      return journal_set(field_of(journal, &fields[i]), value);
  return hf_fail(HF_ERR_PARSE, "no line is named '%.32s'", line);
}

static hf_err parse(struct hf_buf *text, struct journal *journal)
{
  char *save = NULL;
  if (!hf_buf_str(text) || strlen((char *)text->data) != text->len)
    return hf_fail(HF_ERR_PARSE, "it is no text");
  char *line = strtok_r((char *)text->data, "\n", &save);
  if (!line || strcmp(line, header) != 0)
    return hf_fail(HF_ERR_PARSE, "it does not begin with '%s'", header);
  while ((line = strtok_r(NULL, "\n", &save)))
    HF_TRY(take_line(line, journal));
  return HF_OK;
}

hf_err journal_read(const char *path, struct journal *journal)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(JOURNAL_FILE_MAX);
  hf_err e = hf_file_read(path, &text);
  if (e.code == HF_ERR_NOT_FOUND)
    return HF_OK;
  HF_TRY(e);
  e = parse(&text, journal);
  if (hf_failed(e))
    return hf_hint(
        hf_fail(e.code, "%s: %s", path, hf_err_context()),
        "It is a renewal's journal. See that device.key_uri and the certificate belong together, then remove it.");
  return HF_OK;
}

static bool is_needed(const struct journal *journal)
{
  return journal->stage != JOURNAL_IDLE || journal->previous.len > 0 || journal->discard.len > 0;
}

static hf_err format(const struct journal *journal, struct hf_buf *out)
{
  char uri[URI_MAX + 1];
  HF_TRY(hf_buf_addf(out, "%s\nstage %s\n", header, stages[journal->stage]));
  for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++) {
    const struct hf_buf *field = (const struct hf_buf *)(const void *)((const char *)journal + fields[i].offset);
    if (field->len > 0)
      HF_TRY(hf_buf_addf(out, "%s %.*s\n", fields[i].name, (int)field->len, (const char *)field->data));
  }
  for (const char *at = NULL; journal_next_discard(journal, &at, uri);)
    HF_TRY(hf_buf_addf(out, "discard %s\n", uri));
  return HF_OK;
}

hf_err journal_write(const char *path, const struct journal *journal)
{
  if (!is_needed(journal))
    return hf_file_remove(path);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(JOURNAL_FILE_MAX);
  HF_TRY(format(journal, &text));
  return hf_file_write(path, text.data, text.len, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
}
