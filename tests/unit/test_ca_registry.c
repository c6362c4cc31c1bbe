/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: what it acknowledged is there after a kill, a password works once, damage is told apart from nothing. */
#include "hf_test.h"

#include "ca/registry_private.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { DAY = 86400, NOW = 1800000000 };

static char dir[PATH_MAX];

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
  snprintf(dir, sizeof(dir), "%s/hf-registry-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(dir) || hf_failed(registry_create(dir)))
    return -1;
  return hf_failed(registry_open(dir, (struct registry **)state)) ? -1 : 0;
}

static int tear_down(void **state)
{
  registry_close(*state);
  return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct registry_serial serial_of(unsigned number)
{
  return (struct registry_serial){ { 0x40, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number }, 4 };
}

static struct registry_certificate certificate_of(unsigned number, const char *device)
{
  struct registry_certificate certificate = { .serial = serial_of(number),
                                              .issued = NOW,
                                              .not_before = NOW,
                                              .not_after = NOW + (int64_t)(number + 1) * DAY,
                                              .der = hf_slice("not really DER", 14) };
  snprintf(certificate.device, sizeof(certificate.device), "%s", device);
  return certificate;
}

static struct registry_device device_of(const char *id, uint8_t hash)
{
  struct registry_device device = { .password = { .expires = NOW + DAY, .uses = 1, .memory = 8192, .passes = 1 } };
  snprintf(device.id, sizeof(device.id), "%s", id);
  memset(device.password.hash, hash, sizeof(device.password.hash));
  return device;
}

static hf_err enroll(struct registry *registry, const char *id, unsigned number, uint8_t hash)
{
  uint8_t hashes[32], request[32] = { 7 };
  memset(hashes, hash, sizeof(hashes));
  const struct registry_use use = { .hash = hashes, .request = request, .now = NOW };
  struct registry_certificate certificate = certificate_of(number, id);
  return registry_enroll(registry, &certificate, &use);
}

static hf_err count_one(const struct registry_certificate *certificate, void *arg)
{
  (void)certificate;
  ++*(size_t *)arg;
  return HF_OK;
}

static void test_serials(void **state)
{
  (void)state;
  struct registry_serial serial;
  char text[2 * REGISTRY_SERIAL_MAX + 1];
  assert_hf_ok(registry_serial_parse("0A:bc", &serial));
  registry_serial_format(&serial, text);
  assert_string_equal("0abc", text);
  assert_hf_ok(registry_serial_parse("000abc", &serial));
  registry_serial_format(&serial, text);
  assert_string_equal("0abc", text);
  assert_hf_ok(registry_serial_parse("ffffffffffffffffffffffffffffffffffffffff", &serial));
  assert_int_equal(20, serial.len);
  assert_hf_err(registry_serial_parse("1ffffffffffffffffffffffffffffffffffffffff", &serial), USAGE);
  assert_hf_err(registry_serial_parse("", &serial), USAGE);
  assert_hf_err(registry_serial_parse("0", &serial), USAGE);
  assert_hf_err(registry_serial_parse("device-1", &serial), USAGE);
}

static void test_password_works_once(void **state)
{
  struct registry *registry = *state;
  struct registry_device given = device_of("d1", 1), device;
  bool found;
  assert_hf_ok(registry_device_expect(registry, &given, 1, NOW));
  assert_hf_err(enroll(registry, "d1", 1, 2), ONE_TIME_PASSWORD);
  assert_hf_err(enroll(registry, "d2", 1, 1), ONE_TIME_PASSWORD);
  assert_hf_ok(enroll(registry, "d1", 1, 1));
  assert_hf_err(enroll(registry, "d1", 2, 1), ONE_TIME_PASSWORD);
  assert_hf_ok(registry_device_get(registry, "d1", &found, &device));
  assert_true(found);
  assert_int_equal(REGISTRY_ENROLLED, device.state);
  assert_int_equal(0, device.password.uses);
  struct registry_serial first = serial_of(1);
  assert_true(registry_serial_equal(&first, &device.password.used_serial));
  /* A new password: once more. */
  assert_hf_ok(registry_device_expect(registry, &given, 1, NOW));
  assert_hf_ok(enroll(registry, "d1", 2, 1));
}

/* A refused step leaves nothing of itself. */
static void test_taken_serial(void **state)
{
  struct registry *registry = *state;
  struct registry_device given = device_of("d1", 1), device;
  struct registry_certificate certificate = certificate_of(1, "other");
  bool found;
  assert_hf_ok(registry_device_expect(registry, &given, 1, NOW));
  assert_hf_ok(registry_certificate_add(registry, &certificate));
  assert_hf_err(registry_certificate_add(registry, &certificate), ID_EXISTS);
  assert_hf_err(enroll(registry, "d1", 1, 1), ID_EXISTS);
  assert_hf_ok(registry_device_get(registry, "d1", &found, &device));
  assert_int_equal(1, device.password.uses);
}

static void test_revoking(void **state)
{
  struct registry *registry = *state;
  struct registry_certificate certificate;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  size_t count = 0, listed = 0;
  uint64_t revision, later;
  bool found;
  for (unsigned i = 0; i < 3; i++) {
    certificate = certificate_of(i, "d1");
    assert_hf_ok(registry_certificate_add(registry, &certificate));
  }
  certificate = certificate_of(9, "d11");
  assert_hf_ok(registry_certificate_add(registry, &certificate));
  assert_hf_ok(registry_revision(registry, &revision));
  struct registry_serial serial = serial_of(1), unknown = serial_of(77);
  assert_hf_ok(registry_revoke(registry, &serial, 1, NOW, &count));
  assert_int_equal(1, count);
  assert_hf_ok(registry_revision(registry, &later));
  assert_int_not_equal(revision, later);
  assert_hf_err(registry_revoke(registry, &unknown, 1, NOW, &count), NOT_FOUND);
  /* Again: the first time and reason stay. */
  assert_hf_ok(registry_revoke(registry, &serial, 4, NOW + 5, &count));
  assert_int_equal(0, count);
  assert_hf_ok(registry_certificate_get(registry, &serial, &found, &certificate, &der));
  assert_true(found);
  assert_int_equal(NOW, certificate.revoked);
  assert_int_equal(1, certificate.reason);
  assert_int_equal(14, certificate.der.len);
  /* The device's others, but not that of another whose id begins alike, nor one that has ended. */
  assert_hf_ok(registry_revoke_device(registry, "d1", 5, NOW + 2 * DAY, &count));
  assert_int_equal(1, count);
  assert_hf_ok(registry_revoked_each(registry, NOW, count_one, &listed));
  assert_int_equal(2, listed);
  listed = 0;
  assert_hf_ok(registry_revoked_each(registry, NOW + 2 * DAY, count_one, &listed));
  assert_int_equal(1, listed);
  assert_hf_err(registry_revoke_device(registry, "nobody", 5, NOW, &count), NOT_FOUND);
}

/* Whose password was not used yet cannot use it any more. */
static void test_revoked_device(void **state)
{
  struct registry *registry = *state;
  struct registry_device given = device_of("d1", 1);
  size_t count = 1;
  assert_hf_ok(registry_device_expect(registry, &given, 1, NOW));
  assert_hf_ok(registry_revoke_device(registry, "d1", 0, NOW, &count));
  assert_int_equal(0, count);
  assert_hf_err(enroll(registry, "d1", 1, 1), ONE_TIME_PASSWORD);
  assert_hf_ok(registry_device_expect(registry, &given, 1, NOW));
  assert_hf_ok(enroll(registry, "d1", 1, 1));
}

static void test_expiring(void **state)
{
  struct registry *registry = *state;
  size_t count = 0;
  for (unsigned i = 0; i < 10; i++) {
    struct registry_certificate certificate = certificate_of(i, "d1");
    assert_hf_ok(registry_certificate_add(registry, &certificate));
  }
  assert_hf_ok(registry_certificate_expiring(registry, NOW + 2 * DAY, NOW + 4 * DAY, count_one, &count));
  assert_int_equal(3, count);
  count = 0;
  assert_hf_ok(registry_certificate_expiring(registry, NOW + 20 * DAY, NOW + 30 * DAY, count_one, &count));
  assert_int_equal(0, count);
  assert_hf_ok(registry_certificate_of(registry, "d1", count_one, &count));
  assert_int_equal(10, count);
  assert_hf_ok(registry_certificate_of(registry, "d", count_one, &count));
  assert_int_equal(10, count);
}

static hf_err last_request(const struct registry_request *request, void *arg)
{
  *(struct registry_request *)arg = *request;
  return HF_OK;
}

static void test_requests(void **state)
{
  struct registry *registry = *state;
  struct registry_request first = { .device = "d1", .received = NOW, .der = hf_slice("one", 3) }, seen = { .id = 0 };
  struct registry_request second = { .device = "d1", .received = NOW, .der = hf_slice("two", 3) };
  struct registry_counts counts;
  enum registry_decision decision;
  uint64_t id, again;
  assert_hf_ok(registry_request_put(registry, &first, &id, &decision));
  assert_hf_ok(registry_request_put(registry, &first, &again, &decision));
  assert_int_equal(id, again);
  assert_int_equal(REGISTRY_WAITING, decision);
  assert_hf_ok(registry_request_decide(registry, id, REGISTRY_APPROVED));
  assert_hf_ok(registry_request_put(registry, &first, &again, &decision));
  assert_int_equal(REGISTRY_APPROVED, decision);
  /* Another one is not approved by that. */
  assert_hf_ok(registry_request_put(registry, &second, &again, &decision));
  assert_int_equal(REGISTRY_WAITING, decision);
  assert_int_not_equal(id, again);
  assert_hf_err(registry_request_decide(registry, id, REGISTRY_APPROVED), NOT_FOUND);
  assert_hf_ok(registry_request_each(registry, last_request, &seen));
  assert_int_equal(again, seen.id);
  assert_hf_ok(registry_count(registry, &counts));
  assert_int_equal(1, counts.waiting);
}

static void test_crl(void **state)
{
  struct registry *registry = *state;
  struct registry_crl crl = { .number = 1, .revision = 3, .made = NOW }, seen;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_CRL_MAX);
  bool taken;
  assert_hf_ok(registry_crl_get(registry, &seen, &der));
  assert_int_equal(0, seen.number);
  assert_hf_ok(registry_crl_put(registry, &crl, hf_slice("list", 4), &taken));
  assert_true(taken);
  assert_hf_ok(registry_crl_put(registry, &crl, hf_slice("another", 7), &taken));
  assert_false(taken);
  assert_hf_ok(registry_crl_get(registry, &seen, &der));
  assert_int_equal(1, seen.number);
  assert_int_equal(3, seen.revision);
  assert_int_equal(4, der.len);
}

static void test_created_once(void **state)
{
  (void)state;
  assert_hf_err(registry_create(dir), ID_EXISTS);
  struct registry *other;
  assert_hf_err(registry_open("/nonexistent/ca", &other), NOT_FOUND);
  struct stat st;
  char path[PATH_MAX + 16];
  snprintf(path, sizeof(path), "%s/data.mdb", dir);
  assert_int_equal(0, stat(path, &st));
  assert_int_equal(0600, st.st_mode & 0777);
}

static void test_truncated(void **state)
{
  char path[PATH_MAX + 16];
  struct registry *other;
  *state = registry_close(*state);
  snprintf(path, sizeof(path), "%s/data.mdb", dir);
  assert_int_equal(0, truncate(path, 5000));
  assert_hf_err(registry_open(dir, &other), REGISTRY);
}

static void flip_bits(const char *path, off_t from)
{
  int fd = open(path, O_RDWR | O_CLOEXEC);
  off_t size = lseek(fd, 0, SEEK_END);
  static const char pattern[] = "not really DER";
  char *bytes = malloc((size_t)size);
  assert_int_equal(size, pread(fd, bytes, (size_t)size, 0));
  for (off_t at = from; at + (off_t)sizeof(pattern) < size; at++)
    if (memcmp(bytes + at, pattern, sizeof(pattern) - 1) == 0)
      assert_int_equal(1, pwrite(fd, "N", 1, at));
  free(bytes);
  close(fd);
}

/* One changed bit in a certificate is an error, and no other certificate. */
static void test_flipped_bit(void **state)
{
  struct registry *registry = *state;
  struct registry_certificate certificate = certificate_of(1, "d1");
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  char path[PATH_MAX + 16];
  bool found;
  assert_hf_ok(registry_certificate_add(registry, &certificate));
  registry = *state = registry_close(registry);
  snprintf(path, sizeof(path), "%s/data.mdb", dir);
  flip_bits(path, 0);
  assert_hf_ok(registry_open(dir, (struct registry **)state));
  registry = *state;
  assert_hf_err(registry_certificate_get(registry, &certificate.serial, &found, &certificate, &der), REGISTRY);
}

static hf_err put_newer_format(struct store_txn *txn, void *arg)
{
  (void)arg;
  return registry_number_put(txn, "format", 2);
}

static void test_newer_format(void **state)
{
  struct registry *registry = *state, *other;
  assert_hf_ok(store_write(registry->store, put_newer_format, NULL));
  *state = registry_close(registry);
  assert_hf_err(registry_open(dir, &other), REGISTRY_VERSION);
  assert_hf_err(registry_create(dir), ID_EXISTS);
}

/* Enrols devices until it is killed; tells of each that was acknowledged. */
static void child(int out, unsigned from)
{
  struct registry *registry;
  if (hf_failed(registry_open(dir, &registry)))
    _exit(1);
  for (unsigned i = from;; i++) {
    char id[32];
    snprintf(id, sizeof(id), "device-%u", i);
    struct registry_device given = device_of(id, 1);
    if (hf_failed(registry_device_expect(registry, &given, 1, NOW)) || hf_failed(enroll(registry, id, i, 1)) ||
        write(out, &i, sizeof(i)) != sizeof(i))
      _exit(1);
  }
}

static bool told[1 << 16]; /* by its number, whether the child told that it was acknowledged */

static bool hear(int from, unsigned *next)
{
  unsigned number;
  if (read(from, &number, sizeof(number)) != sizeof(number))
    return false;
  assert_true(number < HF_ARRAY_LEN(told));
  told[number] = true;
  *next = number + 1;
  return true;
}

static void kill_one(unsigned *next, unsigned us)
{
  int ends[2];
  assert_int_equal(0, pipe(ends));
  pid_t pid = fork();
  if (pid == 0)
    child(ends[1], *next);
  close(ends[1]);
  /* At least one, then at any moment. */
  assert_true(hear(ends[0], next));
  usleep(us);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  while (hear(ends[0], next))
    ;
  close(ends[0]);
}

/* All that was told of is there; what was not may be, but then whole: its password is used if and only if it has a certificate. */
static void check_all(struct registry *registry, unsigned next)
{
  for (unsigned i = 0; i <= next; i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
    struct registry_certificate certificate;
    struct registry_device device;
    struct registry_serial serial = serial_of(i);
    bool has_certificate, has_device;
    char id[32];
    snprintf(id, sizeof(id), "device-%u", i);
    assert_hf_ok(registry_certificate_get(registry, &serial, &has_certificate, &certificate, &der));
    assert_hf_ok(registry_device_get(registry, id, &has_device, &device));
    if (told[i])
      assert_true(has_certificate);
    if (has_certificate)
      assert_string_equal(id, certificate.device);
    if (has_device)
      assert_int_equal(has_certificate ? 0 : 1, device.password.uses);
  }
}

static void test_killed(void **state)
{
  unsigned next = 0;
  *state = registry_close(*state);
  for (unsigned i = 0; i < 60; i++) {
    kill_one(&next, (i * 373) % 4000);
    struct registry *registry;
    assert_hf_ok(registry_open(dir, &registry));
    check_all(registry, next);
    registry_close(registry);
    next++; /* what this one was killed at stays as it is */
  }
}

int main(void)
{
#define REGISTRY_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_serials),     REGISTRY_TEST(test_password_works_once),
    REGISTRY_TEST(test_taken_serial),   REGISTRY_TEST(test_revoking),
    REGISTRY_TEST(test_revoked_device), REGISTRY_TEST(test_expiring),
    REGISTRY_TEST(test_requests),       REGISTRY_TEST(test_crl),
    REGISTRY_TEST(test_created_once),   REGISTRY_TEST(test_truncated),
    REGISTRY_TEST(test_flipped_bit),    REGISTRY_TEST(test_newer_format),
    REGISTRY_TEST(test_killed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
