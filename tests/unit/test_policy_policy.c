/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts, by file and by default, and what a wrong file says. */
#include "base/file.h"
#include "policy/policy.h"
#include "hf_test.h"

#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { ALICE = 4001, BOB = 4002, THE_GROUP = 5001 };

static char directory[] = "/tmp/hf-policy-XXXXXX", path[64];

static int make_directory(void **state)
{
  (void)state;
  if (!mkdtemp(directory))
    return -1;
  snprintf(path, sizeof(path), "%s/policy", directory);
  return 0;
}

static int remove_directory(void **state)
{
  (void)state;
  unlink(path);
  return rmdir(directory);
}

static struct policy *load(const char *text)
{
  struct policy *policy = NULL;
  assert_hf_ok(hf_file_write(path, text, strlen(text), 0600));
  assert_hf_ok(policy_load(path, THE_GROUP, &policy));
  return policy;
}

static struct peer peer_of(uid_t uid)
{
  return (struct peer){ .uid = uid, .gid = 60000, .exe_known = true, .unit_known = true };
}

static struct policy_answer ask(struct policy *policy, const struct peer *peer, enum policy_op op, const char *key_text)
{
  struct policy_answer answer;
  HF_CLEANUP(uri_free) struct uri key = { 0 };
  if (key_text)
    assert_hf_ok(uri_parse(key_text, &key));
  policy_ask(policy, peer, op, key_text ? &key : NULL, &answer);
  return answer;
}

static bool allows(struct policy *policy, const struct peer *peer, enum policy_op op, const char *key)
{
  return ask(policy, peer, op, key).verdict == VERDICT_ALLOW;
}

#define TLS "pkcs11:token=device;id=%01;object=tls;type=private"
#define OTHER "pkcs11:token=device;id=%02;object=other;type=private"

static void test_the_default(void **state)
{
  (void)state;
  struct policy *policy = NULL;
  assert_hf_ok(policy_load("/nonexistent/agent.policy", THE_GROUP, &policy));
  struct peer stranger = peer_of(ALICE), member = peer_of(ALICE), own = peer_of(geteuid()), root = peer_of(0);
  member.groups[member.group_count++] = THE_GROUP;
  const struct peer *friends[] = { &member, &own, &root };
  for (enum policy_op op = 0; op < POLICY_READ; op++) {
    bool expected = op == POLICY_LIST || op == POLICY_SIGN || op == POLICY_CREATE;
    for (size_t i = 0; i < HF_ARRAY_LEN(friends); i++)
      assert_int_equal(allows(policy, friends[i], op, TLS), expected);
    assert_false(allows(policy, &stranger, op, TLS));
  }
  struct policy_answer answer = ask(policy, &root, POLICY_DELETE, TLS);
  assert_string_equal(answer.rule, "the default: nobody may delete");
  assert_string_equal(answer.to_allow, "allow delete user=root key=pkcs11:token=device;object=tls");
  policy_free(policy);
}

static void test_the_first_match_decides(void **state)
{
  (void)state;
  struct policy *policy =
      load("# remark\n\n deny sign user=4001 key=pkcs11:object=other\nallow sign user=4001\ndeny all user=4001\n");
  struct peer alice = peer_of(ALICE), bob = peer_of(BOB);
  assert_true(allows(policy, &alice, POLICY_SIGN, TLS));
  assert_false(allows(policy, &alice, POLICY_SIGN, OTHER));
  assert_false(allows(policy, &alice, POLICY_LIST, TLS));
  assert_false(allows(policy, &bob, POLICY_SIGN, TLS));
  struct policy_answer answer = ask(policy, &alice, POLICY_SIGN, OTHER);
  assert_contains(answer.rule, "policy:3: deny sign user=4001 key=pkcs11:object=other");
  bob.gid = THE_GROUP;
  assert_true(allows(policy, &bob, POLICY_SIGN, OTHER));
  policy_free(policy);
}

static void test_every_attribute_of_the_key_must_match(void **state)
{
  (void)state;
  struct policy *policy = load("allow sign user=4001 key=pkcs11:token=device;object=tls;id=%01\n");
  struct peer alice = peer_of(ALICE);
  assert_true(allows(policy, &alice, POLICY_SIGN, TLS));
  assert_false(allows(policy, &alice, POLICY_SIGN, "pkcs11:token=device;object=tls;id=%02"));
  assert_false(allows(policy, &alice, POLICY_SIGN, "pkcs11:token=device;object=tls"));
  assert_false(allows(policy, &alice, POLICY_SIGN, "pkcs11:token=device;object=tls2;id=%01"));
  assert_false(allows(policy, &alice, POLICY_SIGN, NULL));
  policy_free(policy);
}

static bool reads(struct policy *policy, const struct peer *peer, const char *secret)
{
  struct policy_answer answer;
  policy_ask_secret(policy, peer, secret, &answer);
  return answer.verdict == VERDICT_ALLOW;
}

/* Secrets are opened by name: a line that was written for keys opens none. */
static void test_secrets(void **state)
{
  (void)state;
  struct policy *policy = load("deny read user=4001 secret=plc/root\nallow read user=4001 secret=plc/*\n"
                               "allow all user=4002\ndeny all\n");
  struct peer alice = peer_of(ALICE), bob = peer_of(BOB), root = peer_of(0);
  assert_true(reads(policy, &alice, "plc/password"));
  assert_false(reads(policy, &alice, "plc/root"));
  assert_false(reads(policy, &alice, "other"));
  assert_true(allows(policy, &bob, POLICY_DELETE, TLS));
  assert_false(reads(policy, &bob, "plc/password"));
  assert_false(reads(policy, &root, "plc/password"));
  policy_free(policy);
  policy = load("");
  struct policy_answer answer;
  policy_ask_secret(policy, &alice, "plc/password", &answer);
  assert_int_equal(answer.verdict, VERDICT_DENY);
  assert_string_equal(answer.to_allow, "allow read user=4001 secret=plc/password");
  assert_true(reads(policy, &root, "plc/password"));
  policy_free(policy);
}

static void test_unit_and_program_by_pattern(void **state)
{
  (void)state;
  struct policy *policy = load("allow sign unit=web@*.service exe=/usr/sbin/*\n");
  struct peer alice = peer_of(ALICE);
  assert_false(allows(policy, &alice, POLICY_SIGN, TLS));
  snprintf(alice.unit, sizeof(alice.unit), "web@1.service");
  snprintf(alice.exe, sizeof(alice.exe), "/usr/sbin/nginx");
  assert_true(allows(policy, &alice, POLICY_SIGN, TLS));
  snprintf(alice.unit, sizeof(alice.unit), "web@1.service.evil");
  assert_false(allows(policy, &alice, POLICY_SIGN, TLS));
  policy_free(policy);
}

static void test_what_is_not_known_opens_nothing(void **state)
{
  (void)state;
  struct policy *policy = load("deny sign exe=/usr/bin/evil\nallow sign exe=/usr/bin/*\n");
  struct peer hidden = peer_of(0);
  hidden.exe_known = false;
  assert_false(allows(policy, &hidden, POLICY_SIGN, TLS));
  policy_free(policy);
  policy = load("allow sign unit=*\n");
  hidden = peer_of(ALICE);
  hidden.unit_known = false;
  assert_false(allows(policy, &hidden, POLICY_SIGN, TLS));
  policy_free(policy);
}

static void test_a_rate_is_spent(void **state)
{
  (void)state;
  struct policy *policy = load("allow sign user=4001 rate=3/h\nallow sign user=4002 rate=1000/s\n");
  struct peer alice = peer_of(ALICE), bob = peer_of(BOB);
  for (int i = 0; i < 3; i++)
    assert_true(allows(policy, &alice, POLICY_SIGN, TLS));
  struct policy_answer answer = ask(policy, &alice, POLICY_SIGN, TLS);
  assert_int_equal(answer.verdict, VERDICT_DENY);
  assert_true(answer.rate_limited);
  for (int i = 0; i < 1000; i++)
    allows(policy, &bob, POLICY_SIGN, TLS);
  usleep(20000);
  assert_true(allows(policy, &bob, POLICY_SIGN, TLS));
  policy_free(policy);
}

static void test_reading_again(void **state)
{
  (void)state;
  struct policy *policy = load("allow delete user=4001\n");
  struct peer alice = peer_of(ALICE);
  assert_true(allows(policy, &alice, POLICY_DELETE, TLS));
  static const char wrong[] = "allow delete user=\n";
  assert_hf_ok(hf_file_write(path, wrong, strlen(wrong), 0600));
  assert_hf_err(policy_reload(policy), CONFIG);
  assert_true(allows(policy, &alice, POLICY_DELETE, TLS));
  unlink(path);
  assert_hf_ok(policy_reload(policy));
  assert_false(allows(policy, &alice, POLICY_DELETE, TLS));
  policy_free(policy);
}

static void test_the_line_that_is_named_does_allow(void **state)
{
  (void)state;
  struct policy *policy = load("deny all user=4001\n");
  struct peer alice = peer_of(ALICE);
  const char *keys[] = { TLS, "pkcs11:token=my%20token;object=a%3Bb%20c%0A", "pkcs11:id=%00%FF", "pkcs11:token=device",
                         NULL };
  for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++) {
    char text[2 * POLICY_RULE_MAX];
    struct policy_answer answer = ask(policy, &alice, POLICY_INIT, keys[i]);
    snprintf(text, sizeof(text), "%s\ndeny all user=4001\n", answer.to_allow);
    struct policy *better = load(text);
    assert_true(allows(better, &alice, POLICY_INIT, keys[i]));
    policy_free(better);
  }
  policy_free(policy);
}

static void test_a_wrong_line_is_named(void **state)
{
  (void)state;
  static const struct {
    const char *line, *says, *hint;
  } rows[] = {
    { "permit sign", "begins with 'permit'", "allow or deny" },
    { "allow", "no operation", "commas" },
    { "allow sing", "no operation 'sing'", "'sign'" },
    { "allow sign uesr=root", "no condition 'uesr'", "'user'" },
    { "allow sign root", "'root' is no condition", "NAME=VALUE" },
    { "allow sign user=", "'user=' is no condition", "NAME=VALUE" },
    { "allow sign user=no-such-user", "no user 'no-such-user'", "number" },
    { "allow sign group=no-such-group", "no group 'no-such-group'", "number" },
    { "allow sign exe=nginx", "exe=nginx is no absolute path", "whole path" },
    { "allow sign key=tls", "not", "pkcs11:" },
    { "allow sign key=pkcs11:object=a?pin-value=1", "after '?'", "Leave them out" },
    { "allow sign rate=fast", "rate=fast", "50/s" },
    { "allow sign rate=5/d", "rate=5/d", "50/s" },
    { "allow list,read secret=plc/*", "secret= belongs to the operation read", "a line of its own" },
    { "allow read key=pkcs11:object=a", "read is about no key", "secret=" },
    { "deny sign rate=5/s", "a rate belongs to allow", "Take it off" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    char text[256];
    struct policy *policy = NULL;
    snprintf(text, sizeof(text), "# first\n%s\n", rows[i].line);
    assert_hf_ok(hf_file_write(path, text, strlen(text), 0600));
    hf_err e = policy_load(path, THE_GROUP, &policy);
    assert_true(hf_failed(e));
    char place[96];
    snprintf(place, sizeof(place), "%s:2: ", path);
    assert_contains(hf_err_context(), place);
    if (strcmp(rows[i].says, "not") != 0)
      assert_contains(hf_err_context(), rows[i].says);
    assert_contains(hf_err_hint(e), rows[i].hint);
    assert_null(policy);
  }
}

static void test_a_policy_that_everyone_may_write_is_refused(void **state)
{
  (void)state;
  struct policy *policy = NULL;
  assert_hf_ok(hf_file_write(path, "", 0, 0600));
  assert_int_equal(chmod(path, 0666), 0);
  assert_hf_err(policy_load(path, THE_GROUP, &policy), CONFIG);
}

static void test_the_unit_of_a_control_group(void **state)
{
  (void)state;
  static const struct {
    const char *path, *unit;
  } rows[] = {
    { "/system.slice/mosquitto.service", "mosquitto.service" },
    { "/system.slice/system-web.slice/web@1.service", "web@1.service" },
    { "/user.slice/user-1000.slice/user@1000.service/app.slice/shell.scope", "shell.scope" },
    { "/user.slice/user-1000.slice/session-2.scope", "session-2.scope" },
    { "/system.slice/docker-abc.scope/inner", "docker-abc.scope" },
    { "/", "" },
    { "", "" },
    { "/.service", "" },
    { "/init.slice", "" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    char unit[PEER_UNIT_MAX] = "before";
    peer_unit_of_cgroup(rows[i].path, unit, sizeof(unit));
    assert_string_equal(unit, rows[i].unit);
  }
}

static void test_the_peer_of_a_socket(void **state)
{
  (void)state;
  int pair[2];
  char self[PATH_MAX] = "";
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  struct peer peer;
  assert_hf_ok(peer_of_socket(pair[0], &peer));
  assert_int_equal(peer.uid, geteuid());
  assert_int_equal(peer.gid, getegid());
  assert_int_equal(peer.pid, getpid());
  assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
  assert_true(peer.exe_known && peer.unit_known);
  assert_string_equal(peer.exe, self);
  assert_hf_err(peer_of_socket(-1, &peer), IO);
  close(pair[0]);
  close(pair[1]);
}

static void test_the_peer_of_a_name(void **state)
{
  (void)state;
  struct peer peer;
  assert_hf_ok(peer_of_user("root", &peer));
  assert_int_equal(peer.uid, 0);
  assert_hf_ok(peer_of_user("54321", &peer));
  assert_int_equal(peer.uid, 54321);
  assert_hf_err(peer_of_user("no-such-user", &peer), NOT_FOUND);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_default),
    cmocka_unit_test(test_the_first_match_decides),
    cmocka_unit_test(test_every_attribute_of_the_key_must_match),
    cmocka_unit_test(test_secrets),
    cmocka_unit_test(test_unit_and_program_by_pattern),
    cmocka_unit_test(test_what_is_not_known_opens_nothing),
    cmocka_unit_test(test_a_rate_is_spent),
    cmocka_unit_test(test_reading_again),
    cmocka_unit_test(test_the_line_that_is_named_does_allow),
    cmocka_unit_test(test_a_wrong_line_is_named),
    cmocka_unit_test(test_a_policy_that_everyone_may_write_is_refused),
    cmocka_unit_test(test_the_unit_of_a_control_group),
    cmocka_unit_test(test_the_peer_of_a_socket),
    cmocka_unit_test(test_the_peer_of_a_name),
  };
  return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
