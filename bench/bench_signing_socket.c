/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key's part of a TLS handshake, ChooseScheme and Sign with P-256: through holdfast-agent's signing socket, and by the
 * calls that tedge-p11-server makes for the two on the same token, without its socket. They take turns, so a drift of the
 * machine's speed meets both alike; figures are medians. Then many clients at once, and what an idle one costs.
 */
#include "p11_rig.h"

#include "wire/frame.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 41, LATENCY_COUNT = 2000, CLIENTS_MAX = 100, IDLE_CLIENTS = 500, PATH_ROOM = 256, OBJECTS_MAX = 256 };

static const char key_uri[] = "pkcs11:token=bench;object=key-0;id=%00;type=private";
static const char to_sign[] = "TLS 1.3, client CertificateVerify";

static void fail(const char *what)
{
  fprintf(stderr, "bench: %s\n", what);
  rig_remove_dir();
  exit(1);
}

/* tedge-p11-server's calls */

static const CK_ATTRIBUTE_TYPE wanted[] = { CKA_CLASS, CKA_LABEL, CKA_ID, CKA_KEY_TYPE };
enum { WANTED = sizeof(wanted) / sizeof(wanted[0]), ATTRIBUTE_ROOM = 64 };

/* As the Rust crate does it: the length of each, then all values. Returns the label's key. */
static bool read_object(const struct rig *rig, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
  CK_ATTRIBUTE attrs[WANTED];
  unsigned char room[WANTED][ATTRIBUTE_ROOM];
  for (int i = 0; i < WANTED; i++) {
    attrs[i] = (CK_ATTRIBUTE){ wanted[i], NULL, 0 };
    rig_check(rig, rig->f->C_GetAttributeValue(session, object, &attrs[i], 1), "C_GetAttributeValue");
    attrs[i].pValue = room[i];
  }
  rig_check(rig, rig->f->C_GetAttributeValue(session, object, attrs, WANTED), "C_GetAttributeValue");
  CK_OBJECT_CLASS object_class;
  memcpy(&object_class, room[0], sizeof(object_class));
  return object_class == CKO_PRIVATE_KEY && attrs[1].ulValueLen == 5 && memcmp(room[1], "key-0", 5) == 0;
}

static CK_OBJECT_HANDLE read_objects(const struct rig *rig, CK_SESSION_HANDLE session)
{
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE by = { CKA_TOKEN, &yes, 1 };
  CK_OBJECT_HANDLE objects[OBJECTS_MAX], key = 0;
  CK_ULONG count;
  rig_check(rig, rig->f->C_FindObjectsInit(session, &by, 1), "C_FindObjectsInit");
  rig_check(rig, rig->f->C_FindObjects(session, objects, OBJECTS_MAX, &count), "C_FindObjects");
  rig_check(rig, rig->f->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  for (CK_ULONG i = 0; i < count; i++)
    if (read_object(rig, session, objects[i]))
      key = objects[i];
  return key;
}

/* Returns the seconds of the log-in alone. */
static double tedge_request(const struct rig *rig, bool sign)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8, len = 128;
  CK_SLOT_INFO slot_info;
  CK_TOKEN_INFO token_info;
  CK_SESSION_INFO session_info;
  CK_SESSION_HANDLE session;
  CK_UTF8CHAR pin[] = RIG_PIN;
  unsigned char hash[32] = "what is signed is hashed before", signature[128];
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  rig_check(rig, rig->f->C_GetSlotList(CK_TRUE, NULL, &count), "C_GetSlotList");
  rig_check(rig, rig->f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  for (CK_ULONG i = 0; i < count; i++)
    rig_check(rig, rig->f->C_GetTokenInfo(slots[i], &token_info), "C_GetTokenInfo");
  rig_check(rig, rig->f->C_GetSlotInfo(rig->slot, &slot_info), "C_GetSlotInfo");
  rig_check(rig, rig->f->C_GetTokenInfo(rig->slot, &token_info), "C_GetTokenInfo");
  rig_check(rig, rig->f->C_OpenSession(rig->slot, CKF_SERIAL_SESSION, NULL, NULL, &session), "C_OpenSession");
  double start = rig_now();
  rig_check(rig, rig->f->C_Login(session, CKU_USER, pin, sizeof(pin) - 1), "C_Login");
  double login = rig_now() - start;
  rig_check(rig, rig->f->C_GetSessionInfo(session, &session_info), "C_GetSessionInfo");
  CK_OBJECT_HANDLE key = read_objects(rig, session);
  if (sign) {
    rig_check(rig, rig->f->C_SignInit(session, &m, key), "C_SignInit");
    rig_check(rig, rig->f->C_Sign(session, hash, sizeof(hash), signature, &len), "C_Sign");
  }
  rig_check(rig, rig->f->C_CloseSession(session), "C_CloseSession");
  return login;
}

static double tedge_handshake(const struct rig *rig, double *ret_login)
{
  double start = rig_now();
  *ret_login = tedge_request(rig, false) + tedge_request(rig, true);
  return rig_now() - start;
}

/* The agent's socket */

static int connect_to(const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
    fail("the agent's socket cannot be reached");
  return fd;
}

static void exchange(const char *path, const struct hf_buf *request, unsigned char number)
{
  unsigned char answer[512];
  size_t len = 0;
  ssize_t count;
  int fd = connect_to(path);
  if (write(fd, request->data, request->len) != (ssize_t)request->len || shutdown(fd, SHUT_WR) != 0)
    fail("the agent does not take a request");
  while (len < sizeof(answer) && (count = read(fd, answer + len, sizeof(answer) - len)) > 0)
    len += (size_t)count;
  close(fd);
  if (len < 3 || answer[1] != number) {
    fprintf(stderr, "%.*s\n", len > 3 ? (int)len - 3 : 0, (char *)answer + 3);
    fail("the agent refuses");
  }
}

struct requests {
  const char *path;
  struct hf_buf choose, sign;
};

static double agent_handshake(const struct requests *requests)
{
  double start = rig_now();
  exchange(requests->path, &requests->choose, WIRE_SCHEME);
  exchange(requests->path, &requests->sign, WIRE_SIGNATURE);
  return rig_now() - start;
}

static void make_requests(const char *path, struct requests *requests)
{
  struct wire_frame choose = { .number = WIRE_CHOOSE_SCHEME, .offered = { 0x0403 }, .offered_count = 1 };
  struct wire_frame sign = { .number = WIRE_SIGN, .bytes = wire_text(to_sign, sizeof(to_sign)) };
  choose.uri = sign.uri = wire_text(key_uri, sizeof(key_uri) - 1);
  *requests = (struct requests){ path, HF_BUF(WIRE_REQUEST_MAX), HF_BUF(WIRE_REQUEST_MAX) };
  if (hf_failed(wire_frame_encode(&choose, &requests->choose)) || hf_failed(wire_frame_encode(&sign, &requests->sign)))
    fail("no memory");
}

/* Figures */

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void compare(const struct rig *rig, const struct requests *requests, unsigned objects)
{
  double ours[ROUNDS], theirs[ROUNDS], login[ROUNDS], ratios[ROUNDS], bare[ROUNDS];
  agent_handshake(requests);
  tedge_handshake(rig, &login[0]);
  for (int r = 0; r < ROUNDS; r++) {
    ours[r] = agent_handshake(requests);
    theirs[r] = tedge_handshake(rig, &login[r]);
    ratios[r] = ours[r] / theirs[r];
    bare[r] = ours[r] / (theirs[r] - login[r]);
  }
  printf("%-9s %7u %10.3f %10.3f %10.3f %9.4f %13.4f\n", rig->name, objects, rig_median(ours, ROUNDS) * 1e3,
         rig_median(theirs, ROUNDS) * 1e3, rig_median(login, ROUNDS) * 1e3, rig_median(ratios, ROUNDS),
         rig_median(bare, ROUNDS));
  fflush(stdout);
}

struct client {
  pthread_t thread;
  const struct requests *requests;
  double *seconds;
  int count;
};

static void *be_client(void *arg)
{
  struct client *client = arg;
  for (int i = 0; i < client->count; i++)
    client->seconds[i] = agent_handshake(client->requests);
  return NULL;
}

static void crowd(const struct rig *rig, const struct requests *requests, int clients)
{
  static double seconds[LATENCY_COUNT];
  struct client all[CLIENTS_MAX];
  double start = rig_now();
  for (int i = 0; i < clients; i++) {
    int each = LATENCY_COUNT / clients;
    all[i] = (struct client){ .requests = requests, .seconds = seconds + i * each, .count = each };
    if (pthread_create(&all[i].thread, NULL, be_client, &all[i]) != 0)
      fail("no thread");
  }
  for (int i = 0; i < clients; i++)
    pthread_join(all[i].thread, NULL);
  double rate = LATENCY_COUNT / (rig_now() - start);
  qsort(seconds, LATENCY_COUNT, sizeof(seconds[0]), by_value);
  printf("%-9s %7d %10.3f %10.3f %12.0f\n", rig->name, clients, seconds[LATENCY_COUNT / 2] * 1e3,
         seconds[LATENCY_COUNT * 99 / 100] * 1e3, rate);
  fflush(stdout);
}

static long worker_of(pid_t agent)
{
  char path[PATH_ROOM];
  long pid = 0;
  snprintf(path, sizeof(path), "/proc/%d/task/%d/children", agent, agent);
  FILE *f = fopen(path, "r");
  if (!f || fscanf(f, "%ld", &pid) != 1)
    pid = 0;
  if (f)
    fclose(f);
  return pid;
}

static long resident_kib(long pid)
{
  char path[PATH_ROOM], line[PATH_ROOM];
  long kib = 0;
  snprintf(path, sizeof(path), "/proc/%ld/status", pid);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof(line), f))
    if (strncmp(line, "VmRSS:", 6) == 0)
      kib = strtol(line + 6, NULL, 10);
  if (f)
    fclose(f);
  return kib;
}

static void idle(const struct rig *rig, const struct requests *requests, pid_t agent)
{
  int fds[IDLE_CLIENTS];
  long worker = worker_of(agent), before = resident_kib(worker);
  for (int i = 0; i < IDLE_CLIENTS; i++)
    fds[i] = connect_to(requests->path);
  agent_handshake(requests);
  nanosleep(&(struct timespec){ 0, 300000000 }, NULL);
  long after = resident_kib(worker);
  for (int i = 0; i < IDLE_CLIENTS; i++)
    close(fds[i]);
  printf("%-9s: %.1f KiB of the worker's memory for each of %d idle clients; %ld KiB without any\n", rig->name,
         (double)(after - before) / IDLE_CLIENTS, IDLE_CLIENTS, before);
}

static void make_keys(const struct rig *rig, unsigned from, unsigned to)
{
  CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  CK_BBOOL yes = CK_TRUE;
  CK_MECHANISM m = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
  for (unsigned i = from; i < to; i++) {
    char label[16];
    unsigned char id = (unsigned char)i;
    CK_ULONG len = (CK_ULONG)snprintf(label, sizeof(label), "key-%u", i);
    CK_ATTRIBUTE public[] = {
      { CKA_TOKEN, &yes, 1 }, { CKA_LABEL, label, len }, { CKA_ID, &id, 1 }, { CKA_EC_PARAMS, p256, sizeof(p256) }
    };
    CK_ATTRIBUTE private[] = { { CKA_TOKEN, &yes, 1 },
                               { CKA_LABEL, label, len },
                               { CKA_ID, &id, 1 },
                               { CKA_PRIVATE, &yes, 1 },
                               { CKA_SIGN, &yes, 1 } };
    CK_OBJECT_HANDLE a, b;
    rig_check(rig, rig->f->C_GenerateKeyPair(rig->session, &m, public, 4, private, 5, &a, &b), "C_GenerateKeyPair");
  }
}

/* Logs in for good, so that the agent's peer does not: a session more would spare it the log-in. */
static void with_session(struct rig *rig, unsigned from, unsigned to)
{
  CK_UTF8CHAR pin[] = RIG_PIN;
  rig->session = rig_session(rig);
  rig_check(rig, rig->f->C_Login(rig->session, CKU_USER, pin, sizeof(pin) - 1), "C_Login");
  make_keys(rig, from, to);
  rig_check(rig, rig->f->C_CloseSession(rig->session), "C_CloseSession");
}

static void measure(struct rig *rig, const char *module, const char *agent, const char *dir)
{
  static const unsigned pairs[] = { 2, 50 };
  static const int crowds[] = { 1, 10, CLIENTS_MAX };
  char path[PATH_ROOM];
  struct requests requests;
  snprintf(path, sizeof(path), "%s/signing.sock", dir);
  rig_check(rig, rig->f->C_CloseAllSessions(rig->slot), "C_CloseAllSessions");
  make_requests(path, &requests);
  pid_t pid = rig_start_agent(
      &(struct rig_agent){ .program = agent, .module = module, .dir = dir, .signing_socket = path, .audit = "json" });
  printf("\n%-9s %7s %10s %10s %10s %9s %13s\n", "token", "objects", "agent ms", "tedge ms", "its log-in", "/tedge",
         "/without it");
  for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
    with_session(rig, i ? pairs[i - 1] : 0, pairs[i]);
    compare(rig, &requests, 2 * pairs[i]);
  }
  printf("\n%-9s %7s %10s %10s %12s\n", "token", "clients", "p50 ms", "p99 ms", "handshakes/s");
  for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++)
    crowd(rig, &requests, crowds[i]);
  idle(rig, &requests, pid);
  kill(pid, SIGTERM);
  waitpid(pid, NULL, 0);
  hf_buf_free(&requests.choose);
  hf_buf_free(&requests.sign);
}

int main(int argc, char **argv)
{
  struct rig rigs[RIG_KINDS];
  if (argc != 3) {
    fprintf(stderr, "usage: bench_signing_socket PATH-OF-libholdfast-token.so PATH-OF-holdfast-agent\n");
    return 2;
  }
  const char *modules[RIG_KINDS] = { [RIG_HOLDFAST] = argv[1], [RIG_SOFTHSM2] = rig_softhsm2_path() };
  const char *dir = rig_make_dir();
  char config[PATH_ROOM];
  snprintf(config, sizeof(config), "%s/config.json", dir);
  setenv("HOLDFAST_CONFIG", config, 1);
  printf("A handshake's key work, ChooseScheme and Sign with P-256, in milliseconds.\n");
  for (enum rig_kind kind = 0; kind < RIG_KINDS; kind++) {
    if (!modules[kind])
      continue;
    rig_open(&rigs[kind], kind, modules[kind], dir);
    measure(&rigs[kind], modules[kind], argv[2], dir);
    rig_close(&rigs[kind]);
  }
  rig_remove_dir();
  return 0;
}
