/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of C_ calls, out of the input: each a row of token_calls.h, its arguments things that earlier calls gave, what clients
 * give, or nonsense. Mechanisms are those that the token itself lists. Nothing may crash, nothing be written beyond the room that
 * there is, and no call may find the store damaged or fail for a reason that has no name.
 */
#include "token_input.h"

#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rig */

static void must(bool so, const char *what)
{
  if (so)
    return;
  fprintf(stderr, "fuzz_token: %s\n", what);
  abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static void remove_rig(void)
{
  nftw(rig.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Where small numbers point there is memory, and so much of it that any such number is a good length there, too: a mechanism's
 * parameter may be filled without knowing which word is which. */
static void map_memory(void)
{
  enum { LOW = 0x20000, LOW_SIZE = 0x200000 };
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  void *low = mmap((void *)LOW, LOW_SIZE, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0);
  rig.low = low == MAP_FAILED ? 0 : LOW;
  rig.room = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
  must(rig.room != MAP_FAILED && mprotect(rig.room + ROOM, PAGE, PROT_NONE) == 0, "memory");
}

static void make_directory(void)
{
  char path[PATH_MAX + 16];
  const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  snprintf(rig.dir, sizeof(rig.dir), "%s/hf-fuzz-token-XXXXXX", base);
  must(mkdtemp(rig.dir) != NULL, "a directory");
  snprintf(path, sizeof(path), "%s/token.conf", rig.dir);
  FILE *conf = fopen(path, "w");
  must(conf != NULL, "a configuration");
  fprintf(conf, "directories.tokendir = %s\npin.kdf_memory = 8\npin.kdf_passes = 1\nlog.level = ERROR\n", rig.dir);
  fclose(conf);
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
}

static void set_up(void)
{
  make_directory();
  atexit(remove_rig);
  setenv("HOLDFAST_LOG", "stderr", 1);
  map_memory();
}

/* The first slot's token as new; false where the program before changed its SO PIN. */
static bool renew(void)
{
  CK_SLOT_ID slots[16];
  CK_ULONG count = 16;
  CK_UTF8CHAR label[32] = "fuzz";
  CK_RV rv = C_Initialize(NULL);
  must(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED, "C_Initialize");
  if (C_GetSlotList(CK_TRUE, NULL, &(CK_ULONG){ 0 }) != CKR_OK || C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
    return false;
  for (CK_ULONG i = 0; i < count; i++)
    C_CloseAllSessions(slots[i]);
  rig.slot = slots[0];
  return C_InitToken(rig.slot, (CK_UTF8CHAR *)SO_PIN, 8, label) == CKR_OK;
}

/* A token as new, whatever the program before did to it. */
static void fresh_token(void)
{
  CK_SESSION_HANDLE h;
  if (!renew()) {
    C_Finalize(NULL);
    remove_rig();
    make_directory();
    must(renew(), "a new token");
  }
  must(C_OpenSession(rig.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) == CKR_OK &&
           C_Login(h, CKU_SO, (CK_UTF8CHAR *)SO_PIN, 8) == CKR_OK &&
           C_InitPIN(h, (CK_UTF8CHAR *)USER_PIN, 4) == CKR_OK && C_CloseSession(h) == CKR_OK,
       "C_InitPIN");
  rig.mechanism_count = 512;
  must(C_GetMechanismList(rig.slot, rig.mechanisms, &rig.mechanism_count) == CKR_OK, "C_GetMechanismList");
}
/* Calls */

static CK_SESSION_HANDLE take_session(void)
{
  uint8_t byte = take();
  return run.session_count && byte < 0xF8 ? run.sessions[byte % run.session_count] : byte;
}

static CK_OBJECT_HANDLE take_object(void)
{
  uint8_t byte = take();
  return run.object_count && byte < 0xF8 ? run.objects[byte % (run.object_count < OBJECTS ? run.object_count : OBJECTS)]
                                         : byte;
}

static void keep_object(CK_OBJECT_HANDLE handle)
{
  run.objects[run.object_count++ % OBJECTS] = handle;
}

static void keep_session(CK_SESSION_HANDLE handle)
{
  if (run.session_count < SESSIONS)
    run.sessions[run.session_count++] = handle;
}

/* Room that ends where memory does. */
static uintptr_t take_room(CK_ULONG *ret_size)
{
  static const CK_ULONG sizes[] = { 0, 1, 16, 31, 32, 64, 256, 512, 4096, ROOM };
  *ret_size = PICK(sizes);
  return rarely() ? 0 : (uintptr_t)(rig.room + ROOM - *ret_size);
}

struct prepared {
  uintptr_t words[CALL_WORDS];
  CK_ULONG numbers[CALL_WORDS]; /* that words point at */
  unsigned templates;
};

static void put_slice(uintptr_t *word, struct hf_slice slice)
{
  word[0] = (uintptr_t)slice.data;
  word[1] = slice.len;
}

/* Where something goes; false where the letter is for none of these. */
static bool prepare_output(char letter, uintptr_t *word, CK_ULONG *number)
{
  static CK_BYTE structure[1024];
  switch (letter) {
  case 'r':
    *word = take_room(number);
    word[1] = (uintptr_t)number;
    return true;
  case 'w':
    *word = take_room(&word[1]);
    return true;
  case 'R':
    *number = 512 / sizeof(CK_ULONG);
    memcpy(word, (uintptr_t[]){ (uintptr_t)structure, (uintptr_t)number }, 2 * sizeof(*word));
    return true;
  case 'a':
    memcpy(word, (uintptr_t[]){ (uintptr_t)structure, 4, (uintptr_t)number }, 3 * sizeof(*word));
    return true;
  case 'I':
    *word = (uintptr_t)structure;
    return true;
  case 'H':
  case 'N':
    *word = (uintptr_t)number;
    return true;
  default:
    return false;
  }
}

/* One word. */
static uintptr_t prepare_word(char letter)
{
  static CK_BYTE label[32] = "a label";
  static const CK_FLAGS flags[] = { CKF_SERIAL_SESSION | CKF_RW_SESSION, CKF_SERIAL_SESSION, 0,
                                    CKF_SIGN | CKF_FIND_OBJECTS, ~0UL };
  switch (letter) {
  case 'h':
    return take_session();
  case 's':
    return rarely() ? take() : rig.slot;
  case 'o':
  case 'k':
    return take_object();
  case 'f':
    return PICK(flags);
  case 'F':
    return PICK(flags) | CKF_DONT_BLOCK;
  case 'n':
    return take_number();
  case 'u':
    return take() % 4;
  case 'm':
  case 'M':
    return (uintptr_t)take_mechanism();
  case 'l':
    return (uintptr_t)label;
  default:
    return 0;
  }
}

static void prepare_argument(char letter, uintptr_t *word, CK_ULONG *number, struct prepared *p)
{
  static const CK_BYTE zeros[8 * sizeof(uintptr_t)];
  if (prepare_output(letter, word, number))
    return;
  switch (letter) {
  case 't':
  case 'T':
    word[0] = (uintptr_t)take_template(p->templates++ % TEMPLATES, &word[1]);
    break;
  case 'g':
    word[0] = (uintptr_t)take_rooms(&word[1]);
    break;
  case 'p':
    put_slice(word, take_pin());
    break;
  case 'i':
  case 'v':
    put_slice(word, take_data());
    break;
  case 'q':
    put_slice(word, hf_slice(zeros, sizeof(uintptr_t) * (take() % 8)));
    break;
  default:
    *word = prepare_word(letter);
  }
}

static void keep_results(const struct call *call, const struct prepared *p)
{
  unsigned at = 0;
  for (const char *arg = call->args; *arg; at += call_words(*arg++)) {
    if (*arg == 'H' && strcmp(call->name, "C_OpenSession") == 0)
      keep_session(p->numbers[at]);
    else if (*arg == 'H')
      keep_object(p->numbers[at]);
    for (CK_ULONG i = 0; *arg == 'a' && i < p->numbers[at]; i++)
      keep_object(((const CK_OBJECT_HANDLE *)p->words[at])[i]);
    if (*arg == 'r' && p->words[at] && p->numbers[at] <= sizeof(run.last)) {
      memcpy(run.last, (const void *)p->words[at], p->numbers[at]);
      run.last_len = p->numbers[at];
    }
  }
}

static bool is_apart(const struct call *call)
{
  return call->args[0] == 'z' && take() < 0xC0;
}

static void one_call(void)
{
  const struct call *call = &calls[take() % CALLS];
  struct prepared p = { .words = { 0 } };
  unsigned at = 0;
  if (is_apart(call))
    return;
  for (const char *arg = call->args; *arg; at += call_words(*arg++))
    prepare_argument(*arg, &p.words[at], &p.numbers[at], &p);
  CK_RV rv = call_with(call, p.words);
  if (rv == CKR_OK)
    keep_results(call, &p);
  if (rv == CKR_DEVICE_ERROR || rv == CKR_GENERAL_ERROR || !hf_rv_name(rv)) {
    fprintf(stderr, "%s: 0x%lx: %s\n", call->name, rv, hf_err_context());
    abort();
  }
}

/* Most programs begin so. */
static void begin(void)
{
  static CK_MECHANISM generate = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
  CK_SESSION_HANDLE h;
  CK_OBJECT_HANDLE public, private;
  CK_ATTRIBUTE params = { CKA_EC_PARAMS, (void *)(uintptr_t)p256, sizeof(p256) };
  uint8_t how = take();
  if (how & 1 || C_OpenSession(rig.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) != CKR_OK)
    return;
  keep_session(h);
  if (how & 2 || C_Login(h, CKU_USER, (CK_UTF8CHAR *)USER_PIN, 4) != CKR_OK || how & 4 ||
      C_GenerateKeyPair(h, &generate, &params, 1, NULL, 0, &public, &private) != CKR_OK)
    return;
  keep_object(private);
  keep_object(public);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (!rig.room)
    set_up();
  fresh_token();
  memset(&run, 0, sizeof(run));
  run.in = hf_slice(data, size);
  begin();
  for (unsigned i = 0; run.in.len > 0 && i < CALLS_MAX; i++)
    one_call();
  return 0;
}
