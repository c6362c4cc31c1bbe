/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a token costs as it fills: finding one object by its label, C_Initialize to the first object after C_Login, creating
 * and destroying; Holdfast and SoftHSM2 in one run. Microseconds, medians.
 *
 * A child process opens the token anew for each measurement of the start, as a program would.
 */
#include "p11_rig.h"

#include <sys/wait.h>
#include <unistd.h>

enum { FINDS = 200, CHANGES = 20, STARTS = 7 };

static CK_OBJECT_HANDLE create(const struct rig *rig, const char *label)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE;
  CK_OBJECT_HANDLE object;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_TOKEN, &yes, 1 },
    { CKA_PRIVATE, &yes, 1 },
    { CKA_LABEL, (void *)label, strlen(label) },
    { CKA_VALUE, (void *)label, strlen(label) },
  };
  rig_check(rig, rig->f->C_CreateObject(rig->session, tmpl, 5, &object), "C_CreateObject");
  return object;
}

static void find(const struct rig *rig, CK_SESSION_HANDLE session, unsigned number)
{
  char label[32];
  CK_OBJECT_HANDLE found[2];
  CK_ULONG count;
  snprintf(label, sizeof(label), "object-%u", number);
  CK_ATTRIBUTE tmpl = { CKA_LABEL, label, strlen(label) };
  rig_check(rig, rig->f->C_FindObjectsInit(session, &tmpl, 1), "C_FindObjectsInit");
  rig_check(rig, rig->f->C_FindObjects(session, found, 2, &count), "C_FindObjects");
  rig_check(rig, rig->f->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  rig_check(rig, count == 1 ? CKR_OK : CKR_GENERAL_ERROR, label);
}

static double find_time(const struct rig *rig, unsigned objects)
{
  double times[FINDS];
  for (int i = 0; i < FINDS; i++) {
    double start = rig_now();
    find(rig, rig->session, (unsigned)random() % objects);
    times[i] = rig_now() - start;
  }
  return rig_median(times, FINDS) * 1e6;
}

static void change_times(const struct rig *rig, double *ret_create, double *ret_destroy)
{
  double creates[CHANGES], destroys[CHANGES];
  for (int i = 0; i < CHANGES; i++) {
    double start = rig_now();
    CK_OBJECT_HANDLE object = create(rig, "for a moment");
    double middle = rig_now();
    rig_check(rig, rig->f->C_DestroyObject(rig->session, object), "C_DestroyObject");
    creates[i] = middle - start;
    destroys[i] = rig_now() - middle;
  }
  *ret_create = rig_median(creates, CHANGES) * 1e6;
  *ret_destroy = rig_median(destroys, CHANGES) * 1e6;
}

/* In a child: seconds from C_Initialize to the first object found, the log-in's key derivation left out. */
static double start_once(const struct rig *rig)
{
  CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
  CK_SLOT_ID slots[4];
  CK_ULONG count = 4;
  CK_UTF8CHAR pin[] = RIG_PIN;
  rig->f->C_Finalize(NULL); /* SoftHSM2 is still initialised in a child */
  double begin = rig_now();
  rig_check(rig, rig->f->C_Initialize(&args), "C_Initialize");
  rig_check(rig, rig->f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  struct rig child = *rig;
  child.slot = slots[0];
  CK_SESSION_HANDLE session = rig_session(&child);
  double before_login = rig_now();
  rig_check(rig, rig->f->C_Login(session, CKU_USER, pin, sizeof(pin) - 1), "C_Login");
  double after_login = rig_now();
  find(rig, session, 1);
  return (rig_now() - after_login) + (before_login - begin);
}

static double start_time(const struct rig *rig)
{
  double times[STARTS];
  for (int i = 0; i < STARTS; i++) {
    int ends[2];
    if (pipe(ends) != 0)
      abort();
    pid_t child = fork();
    if (child == 0) {
      double seconds = start_once(rig);
      _exit(write(ends[1], &seconds, sizeof(seconds)) == sizeof(seconds) ? 0 : 1);
    }
    close(ends[1]);
    rig_check(rig, read(ends[0], &times[i], sizeof(times[i])) == sizeof(times[i]) ? CKR_OK : CKR_GENERAL_ERROR,
              "a child");
    close(ends[0]);
    waitpid(child, NULL, 0);
  }
  return rig_median(times, STARTS) * 1e6;
}

static void run(const struct rig *rig, const unsigned *sizes)
{
  unsigned made = 0;
  for (; *sizes; sizes++) {
    for (; made < *sizes; made++) {
      char label[32];
      snprintf(label, sizeof(label), "object-%u", made);
      create(rig, label);
    }
    double create_us, destroy_us;
    double find_us = find_time(rig, made), start_us = start_time(rig);
    change_times(rig, &create_us, &destroy_us);
    printf("%-9s %9u %11.1f %11.0f %11.0f %11.0f\n", rig->name, made, find_us, start_us, create_us, destroy_us);
    fflush(stdout);
  }
}

int main(int argc, char **argv)
{
  static const unsigned ours[] = { 100, 10000, 0 }, theirs[] = { 100, 1000, 0 };
  struct rig holdfast, softhsm2;
  const char *softhsm2_path = rig_softhsm2_path();
  if (argc != 2) {
    fprintf(stderr, "usage: bench_objects PATH-OF-libholdfast-token.so\n");
    return 2;
  }
  const char *dir = rig_make_dir();
  printf("Microseconds. \"start\": C_Initialize to the first object found, without C_Login. Holdfast syncs each change "
         "to the\n"
         "disk; SoftHSM2 does not sync, and is stopped at 1,000 objects.\n\n");
  printf("%-9s %9s %11s %11s %11s %11s\n", "token", "objects", "find", "start", "create", "destroy");
  rig_open(&holdfast, RIG_HOLDFAST, argv[1], dir);
  run(&holdfast, ours);
  rig_close(&holdfast);
  if (softhsm2_path) {
    rig_open(&softhsm2, RIG_SOFTHSM2, softhsm2_path, dir);
    run(&softhsm2, theirs);
    rig_close(&softhsm2);
  }
  rig_remove_dir();
  return 0;
}
