/* SPDX-License-Identifier: Apache-2.0 */
/* The store of secrets: labels move, versions go with their last one, a move to another key loses nothing, damage is told. */
#include "hf_test.h"

#include "secrets/vault_private.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>

static char above[PATH_MAX], dir[PATH_MAX + 16];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int set_up(void **state)
{
  const char *tmp = getenv("TMPDIR");
  snprintf(above, sizeof(above), "%s/hf-vault-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(above))
    return -1;
  snprintf(dir, sizeof(dir), "%s/secrets", above);
  return hf_failed(vault_open(dir, true, (struct vault **)state)) ? -1 : 0;
}

static int tear_down(void **state)
{
  vault_close(*state);
  return nftw(above, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct hf_slice text(const char *string)
{
  return hf_slice(string, strlen(string));
}

static uint32_t put_key(struct vault *vault, const char *name, const char *spki)
{
  const struct key_record key = { WRAP_PKCS1, text(name), text("pkcs11:token=exact"), text(spki) };
  uint32_t id = 0;
  assert_hf_ok(vault_key_put(vault, &key, &id));
  assert_true(id > 0);
  return id;
}

static hf_err put(struct vault *vault, const char *name, uint8_t number, uint32_t key, const char *stage)
{
  const uint8_t id[SECRETS_ID_BYTES] = { number };
  const struct version_record version = {
    .created = number, .sealed = text("sealed"), .wraps = { { key, text("wrapped") } }, .wrap_count = 1
  };
  const struct vault_put put = { name, id, &version, &stage, 1 };
  return vault_put(vault, &put);
}

/* The number of the version that has the label; 0 for none. */
static uint8_t labelled(struct vault *vault, const char *name, const char *stage)
{
  struct head_record head;
  assert_hf_ok(vault_head(vault, name, &head));
  for (size_t i = 0; i < head.stage_count; i++)
    if (strcmp(head.stages[i].label, stage) == 0)
      return head.stages[i].version[0];
  return 0;
}

static hf_err look(struct vault *vault, const char *name, uint8_t number, size_t *ret_wraps)
{
  const uint8_t id[SECRETS_ID_BYTES] = { number };
  HF_CLEANUP(vault_version_free) struct vault_version version = { 0 };
  HF_TRY(vault_version(vault, name, id, &version));
  *ret_wraps = version.record.wrap_count;
  return HF_OK;
}

static void labels_move(void **state)
{
  uint32_t key = put_key(*state, "one", "spki");
  size_t wraps;
  assert_hf_ok(put(*state, "name", 1, key, SECRETS_CURRENT));
  assert_int_equal(labelled(*state, "name", SECRETS_PREVIOUS), 0);
  assert_hf_ok(put(*state, "name", 2, key, SECRETS_CURRENT));
  assert_int_equal(labelled(*state, "name", SECRETS_PREVIOUS), 1);
  assert_hf_ok(put(*state, "name", 3, key, "own"));
  assert_int_equal(labelled(*state, "name", SECRETS_CURRENT), 2);
  assert_hf_ok(put(*state, "name", 4, key, SECRETS_CURRENT));
  assert_int_equal(labelled(*state, "name", SECRETS_CURRENT), 4);
  assert_int_equal(labelled(*state, "name", SECRETS_PREVIOUS), 2);
  assert_int_equal(labelled(*state, "name", "own"), 3);
  assert_hf_err(look(*state, "name", 1, &wraps), NOT_FOUND);
  assert_hf_ok(look(*state, "name", 2, &wraps));
}

static void labels_have_a_limit(void **state)
{
  uint32_t key = put_key(*state, "one", "spki");
  size_t wraps;
  for (uint8_t i = 0; i < SECRETS_STAGES_MAX; i++) {
    char stage[16];
    snprintf(stage, sizeof(stage), "stage-%u", i);
    assert_hf_ok(put(*state, "name", (uint8_t)(i + 1), key, stage));
  }
  assert_hf_err(put(*state, "name", 99, key, "one-more"), LIMIT);
  assert_hf_err(look(*state, "name", 99, &wraps), NOT_FOUND);
  assert_hf_ok(put(*state, "name", 100, key, "stage-0"));
  assert_hf_err(look(*state, "name", 1, &wraps), NOT_FOUND);
}

static hf_err count(const struct head_record *head, void *arg)
{
  assert_true(head->stage_count > 0);
  ++*(size_t *)arg;
  return HF_OK;
}

static void deleting(void **state)
{
  uint32_t key = put_key(*state, "one", "spki");
  size_t wraps, secrets = 0;
  assert_hf_ok(put(*state, "name", 1, key, SECRETS_CURRENT));
  assert_hf_ok(put(*state, "name", 2, key, SECRETS_CURRENT));
  assert_hf_ok(put(*state, "other", 3, key, SECRETS_CURRENT));
  assert_hf_err(vault_delete(*state, "nobody"), NOT_FOUND);
  assert_hf_ok(vault_delete(*state, "name"));
  assert_hf_err(look(*state, "name", 1, &wraps), NOT_FOUND);
  assert_hf_err(look(*state, "name", 2, &wraps), NOT_FOUND);
  assert_hf_ok(vault_each(*state, count, &secrets));
  assert_int_equal(secrets, 1);
}

static bool has_name(const struct key_record *key, const void *arg)
{
  return hf_slice_equal(key->name, text(arg));
}

/* A key in another's place takes over its name, not what it wraps. */
static void keys_and_their_names(void **state)
{
  HF_CLEANUP(vault_key_free) struct vault_key found_key = { 0 }, old = { 0 };
  bool found = false;
  uint32_t one = put_key(*state, "name", "spki 1"), two = put_key(*state, "name", "spki 2");
  assert_int_not_equal(one, two);
  assert_int_equal(put_key(*state, "name", "spki 2"), two);
  assert_hf_ok(vault_key_find(*state, has_name, "name", &found, &found_key));
  assert_true(found);
  assert_int_equal(found_key.id, two);
  assert_hf_ok(vault_key_get(*state, one, &old));
  assert_true(hf_slice_equal(old.record.spki, text("spki 1")));
  assert_int_equal(old.record.name.len, 0);
  hf_buf_free(&old.bytes);
  assert_hf_err(vault_key_get(*state, 99, &old), SECRETS);
  old = (struct vault_key){ 0 };
  assert_hf_err(put(*state, "secret", 1, 99, SECRETS_CURRENT), BUSY);
}

static void moving_to_another_key(void **state)
{
  struct vault *vault = *state;
  uint32_t one = put_key(vault, "one", "spki 1"), two = put_key(vault, "two", "spki 2");
  struct vault_place place;
  uint64_t left = 0;
  bool found = true, done = true;
  size_t wraps = 0;
  const struct wrap_record wrap = { two, text("wrapped again") };
  assert_hf_ok(put(vault, "a", 1, one, SECRETS_CURRENT));
  assert_hf_ok(put(vault, "b", 2, one, SECRETS_CURRENT));
  assert_hf_ok(vault_unmoved(vault, two, &found, &place, &left));
  assert_true(found && left == 2);
  assert_hf_ok(vault_wrap_add(vault, &place, &wrap));
  assert_hf_ok(vault_wrap_add(vault, &place, &wrap));
  assert_hf_ok(look(vault, place.name, place.id[0], &wraps));
  assert_int_equal(wraps, 2);
  /* Not as long as one is left. */
  assert_hf_ok(vault_keep_only(vault, two, &done));
  assert_false(done);
  assert_hf_ok(vault_unmoved(vault, two, &found, &place, &left));
  assert_true(found && left == 1);
  assert_hf_ok(vault_wrap_add(vault, &place, &wrap));
  assert_hf_ok(vault_unmoved(vault, two, &found, &place, &left));
  assert_false(found);
  assert_hf_ok(vault_keep_only(vault, two, &done));
  assert_true(done);
  assert_hf_ok(look(vault, "a", 1, &wraps));
  assert_int_equal(wraps, 1);
  assert_hf_err(put(vault, "c", 3, one, SECRETS_CURRENT), BUSY);
  snprintf(place.name, sizeof(place.name), "gone");
  assert_hf_ok(vault_wrap_add(vault, &place, &wrap));
}

static void is_its_owner_s_alone(void **state)
{
  (void)state;
  char path[PATH_MAX + 32];
  struct stat st;
  assert_int_equal(stat(dir, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  snprintf(path, sizeof(path), "%s/data.mdb", dir);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
}

static void tells_none_from_damage(void **state)
{
  struct vault *other = NULL;
  char path[PATH_MAX + 32];
  snprintf(path, sizeof(path), "%s/nothing", above);
  assert_hf_err(vault_open(path, false, &other), NOT_FOUND);
  *state = vault_close(*state);
  snprintf(path, sizeof(path), "%s/data.mdb", dir);
  assert_int_equal(truncate(path, 100), 0);
  assert_hf_err(vault_open(dir, true, &other), SECRETS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
    TEST(labels_move),
    TEST(labels_have_a_limit),
    TEST(deleting),
    TEST(keys_and_their_names),
    TEST(moving_to_another_key),
    TEST(is_its_owner_s_alone),
    TEST(tells_none_from_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
