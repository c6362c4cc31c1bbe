/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a token costs as it fills: finding one object by its label, and C_Initialize to the first object found, C_Login left out;
 * Holdfast, SoftHSM2 and NSS's softoken in one run. Microseconds, medians. The stores lie in memory (/dev/shm), where a sync costs
 * nothing: it is the sizes that are measured. bench_writes has the disk.
 *
 * A child process opens the token anew for each measurement of the start, as a program would.
 */
#include "nss_rig.h"
#include "p11_rig.h"

#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FINDS = 100, STARTS = 9, SIZES_MAX = 3, FILLERS = 1 };

/* Of a store with a million objects. */
static const double million_bytes = 3e9;

struct figures {
  unsigned objects;
  double first, again, start;
};

/* Of objects that lie all over the store: one that was not looked at before, and the same once more. */
static void find_times(const struct rig *rig, struct figures *figures)
{
  double first[FINDS], again[FINDS];
  for (unsigned i = 0; i < FINDS; i++) {
    unsigned number = i * (figures->objects / FINDS);
    double start = rig_now();
    rig_find(rig, rig->session, number);
    double middle = rig_now();
    rig_find(rig, rig->session, number);
    first[i] = middle - start;
    again[i] = rig_now() - middle;
  }
  figures->first = rig_median(first, FINDS) * 1e6;
  figures->again = rig_median(again, FINDS) * 1e6;
}

/* Of the calling process, which has just the one thread. */
static double processor_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* In a child: processor seconds from C_Initialize to the first object found, the log-in's key derivation left out. */
static double start_once(const struct rig *rig)
{
  CK_UTF8CHAR pin[] = RIG_PIN;
  struct rig child = *rig;
  rig->f->C_Finalize(NULL); /* some are still initialised in a child */
  double begin = processor_seconds();
  rig_start_module(&child);
  double before_login = processor_seconds();
  rig_check(rig, rig->f->C_Login(child.session, CKU_USER, pin, sizeof(pin) - 1), "C_Login");
  double after_login = processor_seconds();
  rig_find(rig, child.session, 1);
  return (processor_seconds() - after_login) + (before_login - begin);
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

static void run(const struct rig *rig, const unsigned *sizes,
                void (*fill)(const struct rig *rig, unsigned from, unsigned to, unsigned threads), unsigned threads)
{
  struct figures first = { 0 }, now = { 0 };
  for (; *sizes; sizes++) {
    fill(rig, now.objects, *sizes, threads);
    now.objects = *sizes;
    find_times(rig, &now);
    now.start = start_time(rig);
    if (!first.objects)
      first = now;
    printf("%-9s %9u %9.1f %7.2f %9.1f %7.2f %9.0f %7.2f\n", rig->name, now.objects, now.first, now.first / first.first,
           now.again, now.again / first.again, now.start, now.start / first.start);
    fflush(stdout);
  }
}

static bool room_for_a_million(const char *dir)
{
  struct statvfs fs;
  return statvfs(dir, &fs) == 0 && (double)fs.f_bavail * (double)fs.f_frsize > million_bytes;
}

int main(int argc, char **argv)
{
  const unsigned theirs[] = { 100, 500, 0 }, nss_sizes[] = { 100, 10000, 0 };
  unsigned ours[] = { 100, 10000, 1000000, 0 };
  struct rig holdfast, softhsm2, nss;
  const char *softhsm2_path = rig_softhsm2_path();
  if (argc != 2) {
    fprintf(stderr, "usage: bench_objects PATH-OF-libholdfast-token.so\n");
    return 2;
  }
  const char *dir = rig_make_dir_below("/dev/shm");
  if (!room_for_a_million(dir))
    ours[2] = 100000;
  printf("Microseconds; \"/100\" is over those with 100 objects. \"find\": an object by its label, that was not looked "
         "at before,\n"
         "and once more. \"start\": C_Initialize to the first object found, without C_Login, of\n"
         "processor time. SoftHSM2 is stopped at\n"
         "500 objects. NSS has public keys for objects, for it does not seal those.\n\n");
  printf("%-9s %9s %9s %7s %9s %7s %9s %7s\n", "token", "objects", "find", "/100", "again", "/100", "start", "/100");
  rig_open(&holdfast, RIG_HOLDFAST, argv[1], dir);
  run(&holdfast, ours, rig_fill, FILLERS);
  rig_close(&holdfast);
  if (nss_rig_open(&nss, dir)) {
    run(&nss, nss_sizes, nss_rig_fill, 1);
    rig_close(&nss);
  }
  if (softhsm2_path) {
    rig_open(&softhsm2, RIG_SOFTHSM2, softhsm2_path, dir);
    run(&softhsm2, theirs, rig_fill, 1);
    rig_close(&softhsm2);
  }
  rig_remove_dir();
  return 0;
}
